"""What the pyVmomi cases share: the endpoint that they are run against, and machines of their own."""
import contextlib
import os
import re
import ssl
import urllib.parse
import urllib.request

from pyVmomi import vim, vmodl

from cases import at_center, endpoint, on_datastore
from engine import Guest, engines, until
from host import address, cookie_of, port, wait as wait_for
from inventory import content, every, named, service  # noqa: F401

unsafe = ssl._create_unverified_context()


def wait(task):
    return wait_for(service, task)


host = every(vim.HostSystem)[0]
pool = host.parent.resourcePool
datacenter = every(vim.Datacenter)[0]
datastore = named(vim.Datastore, 'datastore1')
guest = named(vim.VirtualMachine, 'bed-guest')
root_login = vim.vm.guest.NamePasswordAuthentication(
    interactiveSession=False, username='root', password='guest-secret-1')
own = 'pyvmomi-%s' % endpoint


def added(device, create=False):
    spec = vim.vm.device.VirtualDeviceSpec(operation='add', device=device)
    if create:
        spec.fileOperation = 'create'
    return spec


def edited(device):
    return vim.vm.device.VirtualDeviceSpec(operation='edit', device=device)


def scsi(key=-1):
    return added(vim.vm.device.ParaVirtualSCSIController(key=key, busNumber=0, sharedBus='noSharing'))


def disk(mebibytes=4, controller=-1, unit=0, **backing):
    return added(vim.vm.device.VirtualDisk(
        key=-20 - unit, controllerKey=controller, unitNumber=unit, capacityInKB=mebibytes * 1024,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            **{'fileName': '', 'diskMode': 'persistent', 'thinProvisioned': True, **backing})), create=True)


def nic(kind=vim.vm.device.VirtualE1000, **members):
    return added(kind(key=-30, backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName='VM Network'),
                      **members))


def create(name, devices=None, **members):
    """A machine of 64 MiB, with a disk of 4 MiB unless told."""
    spec = vim.vm.ConfigSpec(**{
        'name': name, 'memoryMB': 64, 'numCPUs': 1, 'guestId': 'otherLinux64Guest',
        'files': vim.vm.FileInfo(vmPathName='[datastore1]'),
        'deviceChange': [scsi(), disk()] if devices is None else devices, **members})
    return wait(datacenter.vmFolder.CreateVM_Task(config=spec, pool=pool, host=host))


def destroy(machine):
    try:
        if machine.runtime.powerState != 'poweredOff':
            wait(machine.PowerOffVM_Task())
        wait(machine.Destroy_Task())
    except vmodl.fault.ManagedObjectNotFound:
        pass


class machine_of:
    """A machine for one case, which is destroyed behind it. (A generator of contextlib chokes on pyVmomi's faults.)"""

    def __init__(self, name, on=False, **members):
        self.machine = create('%s-%s' % (own, name), **members)
        if on:
            wait(self.machine.PowerOnVM_Task())

    def __enter__(self):
        return self.machine

    def __exit__(self, *error):
        destroy(self.machine)


def engine_of(machine):
    """The engine of a machine, or none."""
    uuid = machine.config.uuid
    return next((each for each in engines() if each.uuid == uuid), None)


def devices(machine, kind):
    return [each for each in machine.config.hardware.device if isinstance(each, kind)]


def reconfigure(machine, *changes, **members):
    wait(machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=list(changes), **members)))


def vmx(machine):
    with open(on_datastore(machine.config.files.vmPathName.split('] ')[1])) as file:
        return file.read()


def has_line(machine, pattern):
    assert re.search('^%s$' % pattern, vmx(machine), re.M), '%s in the .vmx' % pattern


def inside():
    """The shell on the serial port of the guest."""
    return contextlib.closing(Guest(engine_of(guest).serial_socket))


def guest_ready():
    state = guest.runtime.powerState
    if state != 'poweredOn':
        wait(guest.PowerOnVM_Task())
    if state == 'poweredOff':
        with inside() as shell:
            shell.ready()
    until(lambda: guest.guest.toolsRunningStatus == 'guestToolsRunning', 'the agent is seen', 300)


def send(method, url, body=None, headers=()):
    """A request of files, as scripts send it with the cookie of their session."""
    asked = urllib.request.Request(url, data=body, method=method, headers=dict(headers))
    asked.add_header('Cookie', cookie_of(service))
    return urllib.request.urlopen(asked, context=unsafe, timeout=120)


def folder_url(path):
    query = urllib.parse.urlencode({'dcPath': datacenter.name, 'dsName': 'datastore1'})
    return 'https://%s:%d/folder/%s?%s' % (address, port, urllib.parse.quote(path), query)


def placed(url):
    """An address that the server tells, its star replaced by the address that was signed in to."""
    return re.sub(r'^https://\*', 'https://%s' % address, url)


def size_of(path):
    return os.stat(path).st_size
