#!/bin/sh
# A crawl as a Dataproc Serverless batch. IMAGE is built from docker/Dockerfile.dataproc: the environment without Spark,
# which the service provides.
#
#   REGION=us-central1 BUCKET=my-bucket IMAGE=REGION-docker.pkg.dev/PROJECT/REPOSITORY/swallow-spark-dataproc:VERSION \
#     deploy/dataproc/batch.sh cc:CC-MAIN-2025-30
set -eu

exec gcloud dataproc batches submit pyspark jobs/build.py \
  --region="$REGION" --deps-bucket="gs://$BUCKET" --container-image="$IMAGE" --version=3.0 --ttl=7d \
  --properties="^;^spark.executor.cores=4;spark.executor.memory=8g;spark.executor.memoryOverhead=6g;spark.sql.session.timeZone=UTC;spark.sql.execution.arrow.maxRecordsPerBatch=1000;spark.sql.execution.arrow.maxBytesPerBatch=16m" \
  -- --corpus "gs://$BUCKET/corpus" --config "${CONFIG:-swallow-v2}" "$@"
