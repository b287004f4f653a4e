#!/bin/sh
# A crawl on Kubernetes, by spark-submit in cluster mode: REGISTRY/swallow-spark:VERSION is the image from docker/Dockerfile.
#
#   API=https://HOST:6443 IMAGE=REGISTRY/swallow-spark:VERSION CORPUS=s3://BUCKET/corpus \
#     deploy/kubernetes/spark-submit.sh cc:CC-MAIN-2025-30
set -eu

exec spark-submit --master "k8s://$API" --deploy-mode cluster --name swallow-spark \
  --properties-file conf/spark-defaults.conf \
  --conf spark.kubernetes.namespace="${NAMESPACE:-default}" \
  --conf spark.kubernetes.container.image="$IMAGE" \
  --conf spark.kubernetes.authenticate.driver.serviceAccountName=swallow-spark \
  --conf spark.executor.instances="${EXECUTORS:-10}" \
  --conf spark.executor.cores=4 \
  --conf spark.executor.memory=6g \
  --conf spark.executor.memoryOverhead=5g \
  --conf spark.driver.memory=4g \
  --conf spark.kubernetes.executor.podTemplateFile=deploy/kubernetes/executor.yaml \
  --conf spark.decommission.enabled=true \
  --conf spark.storage.decommission.enabled=true \
  --conf spark.storage.decommission.shuffleBlocks.enabled=true \
  local:///opt/swallow-spark/jobs/build.py --corpus "$CORPUS" --config "${CONFIG:-swallow-v2}" "$@"
