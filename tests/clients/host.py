"""What the pyVmomi scripts share: sign-in, tasks, and a look at the engines behind the interface."""
import os
import ssl

from pyVim.connect import SmartConnect
from pyVim.task import WaitForTask

from engine import Engine, Guest, engines, home, only_engine, until  # noqa: F401

address = os.environ['SERVER_HOST']
port = int(os.environ['SERVER_PORT'])
user = os.environ['SERVER_USER']
password = os.environ['SERVER_PASSWORD']
datastore_folder = os.environ['SERVER_DATASTORE']


def sign_in(secret=password):
    context = ssl._create_unverified_context()
    return SmartConnect(host=address, port=port, user=user, pwd=secret, sslContext=context)


def cookie_of(service):
    """The session's cookie, for requests of files. pyVmomi has no public name for it; its users take it from the stub."""
    return service._stub.cookie.split(';')[0]


def wait(service, task):
    """The result of a task; its fault is raised."""
    WaitForTask(task, si=service)
    return task.info.result


def step(name):
    print(name, flush=True)
