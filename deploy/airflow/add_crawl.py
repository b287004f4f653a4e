"""A new crawl each month, by Airflow 3: one task, which is retried unless the call is wrong."""

from datetime import timedelta
from typing import Any

import pendulum
from airflow.exceptions import AirflowFailException, AirflowSkipException
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG


class AddCrawl(BashOperator):
    """Fails without a retry if the call or the configuration is wrong."""

    def execute(self, context: Any) -> Any:
        try:
            return super().execute(context)
        except AirflowSkipException as wrong_call:
            raise AirflowFailException("the call or the configuration is wrong: its last line says how") from wrong_call


with DAG(
    dag_id="swallow_spark_add_crawl",
    schedule="0 3 10 * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["swallow-spark"],
) as dag:
    # The last line on standard output, a JSON object, becomes the task's XCom. A failed run is retried, and resumes
    # where it stopped.
    add_crawl = AddCrawl(
        task_id="add_crawl",
        bash_command="/opt/swallow-spark/bin/swallow-spark add-crawl latest --corpus /data/corpus",
        skip_on_exit_code=2,  # 2: wrong call; the exception is caught above
        retries=5,
        retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(days=7),
    )
