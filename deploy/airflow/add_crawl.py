"""A new crawl each month, by Airflow 3: one task, which may be tried again as often as one likes."""

from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="swallow_spark_add_crawl",
    schedule="0 3 10 * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["swallow-spark"],
) as dag:
    # The last line on standard output, one JSON object, becomes the task's XCom. A run that failed is tried again, and
    # goes on where it was stopped.
    add_crawl = BashOperator(
        task_id="add_crawl",
        bash_command="/opt/swallow-spark/bin/swallow-spark add-crawl latest --corpus /data/corpus",
        retries=5,
        retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(days=7),
    )
