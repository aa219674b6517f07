"""A Spark standalone cluster as a user would start it: a master and two workers of one core each.

Not here: the application that runs on it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark

from detector.kafka.java import require_java
from detector.kafka.ports import HOST, free_port
from tests.e2e.deployment import DEADLINE
from tests.fault.processes import children_of, is_busy, kill, python_workers_of

WORKERS = 2
MEMORY = "768m"  # of a worker and of its executor
HOME = Path(pyspark.__file__).parent
CLASSES = "org.apache.spark.deploy"


class SparkCluster:
    """Where executors run in processes of their own.

    Attributes
    ----------
    master : str
        What ``spark.master`` must be.
    options : tuple of str
        What `tidemark run` needs to use all of it.
    """

    def __init__(self, master: str, workers: list[subprocess.Popen[bytes]]) -> None:
        self.master = master
        self._workers = workers
        settings = (
            f"spark.master={master}",
            f"spark.conf.spark.executor.memory={MEMORY}",
            "spark.conf.spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1",
        )
        self.options = tuple(part for setting in settings for part in ("--set", setting))
        self.environment = {"SPARK_LOCAL_IP": HOST}  # else the driver listens on the address of the host name

    def kill_busy_executor(self) -> bool:
        """SIGKILL an executor in the middle of a task, if there is one: a Python worker of it is busy."""
        for worker in self._workers:
            for executor in children_of(worker.pid):
                if any(map(is_busy, python_workers_of(executor))):
                    kill(executor)
                    return True
        return False


@contextmanager
def spark_cluster(directory: Path) -> Iterator[SparkCluster]:
    """Run a master and its workers."""
    with ExitStack() as stack:
        port = free_port()
        master = f"spark://{HOST}:{port}"
        environment = {**os.environ, "JAVA_HOME": str(require_java().home), "SPARK_HOME": str(HOME)}
        environment |= {"SPARK_LOCAL_IP": HOST, "SPARK_DAEMON_MEMORY": "256m", "SPARK_NO_DAEMONIZE": "1"}

        def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
            log = stack.enter_context((directory / f"{name}.log").open("wb"))
            command = [str(HOME / "bin" / "spark-class"), *arguments]
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=directory)
            stack.callback(_end, process)
            return process

        start("master", f"{CLASSES}.master.Master", "--host", HOST, "--port", str(port), "--webui-port", "0")
        common = ("--host", HOST, "--cores", "1", "--memory", MEMORY, "--webui-port", "0")
        workers = []
        for number in range(WORKERS):
            place = ("--work-dir", str(directory / f"work-{number}"))
            workers.append(start(f"worker-{number}", f"{CLASSES}.worker.Worker", *common, *place, master))
        yield SparkCluster(master, workers)


def _end(process: subprocess.Popen[bytes]) -> None:
    kill(*children_of(process.pid), process.pid)
    process.wait(DEADLINE)
