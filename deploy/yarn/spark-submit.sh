#!/bin/sh
# A crawl on YARN, in cluster mode: the driver and the executors use the environment in dist/env.tar.gz (`make package`).
#
#   CORPUS=hdfs:///data/corpus deploy/yarn/spark-submit.sh cc:CC-MAIN-2025-30
set -eu

exec spark-submit --master yarn --deploy-mode cluster --name swallow-spark \
  --properties-file conf/spark-defaults.conf \
  --archives dist/env.tar.gz#env \
  --conf spark.yarn.appMasterEnv.PYSPARK_PYTHON=./env/bin/python \
  --conf spark.executorEnv.PYSPARK_PYTHON=./env/bin/python \
  --conf spark.yarn.maxAppAttempts=4 \
  --conf spark.executor.instances="${EXECUTORS:-10}" \
  --conf spark.executor.cores=4 \
  --conf spark.executor.memory=6g \
  --conf spark.executor.memoryOverhead=5g \
  --conf spark.driver.memory=4g \
  --conf spark.driver.memoryOverhead=2g \
  jobs/build.py --corpus "$CORPUS" --config "${CONFIG:-swallow-v2}" "$@"
