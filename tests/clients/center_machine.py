"""Creates machines in a folder of a center on a host, follows them, drives a real guest, and reads what was written down."""
import os
import re
import socket
import ssl

from pyVmomi import vim, vmodl

from center import (Guest, compute, content, datacenter, datastore, engines, every, host, only_engine, pool, refused,
                    service, step, until, wait)
from host import address, datastore_folder, port

name = 'guest of %s' % host.name
before = sorted(os.listdir(datastore_folder))


def device(**members):
    return vim.vm.device.VirtualDeviceSpec(operation='add', **members)


def spec_of(machine_name, devices=(), **members):
    return vim.vm.ConfigSpec(name=machine_name, guestId='otherLinux64Guest', deviceChange=list(devices),
                             files=vim.vm.FileInfo(vmPathName='[%s]' % datastore.name), **members)


def screen_of(ticket):
    """The first bytes of a console by its ticket, as a web client opens it; none where the server refuses."""
    where = (ticket.host or address, ticket.port or port)
    with socket.create_connection(where, 20) as plain, ssl._create_unverified_context().wrap_socket(plain) as secure:
        secure.sendall(('GET /ticket/%s HTTP/1.1\r\nHost: %s:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
                        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n'
                        'Sec-WebSocket-Protocol: binary\r\n\r\n' % ((ticket.ticket,) + where)).encode())
        answer = b''
        while True:
            head, _, frames = answer.partition(b'\r\n\r\n')
            if head and not head.startswith(b'HTTP/1.1 101'):
                return b''
            if len(frames) >= 14:
                return frames[2:]
            more = secure.recv(4096)
            if not more:
                return b''
            answer += more


folder = datacenter.vmFolder.CreateFolder('front of %s' % host.name)
scsi = device(device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus='noSharing'))
disk = device(fileOperation='create', device=vim.vm.device.VirtualDisk(
    key=-2, controllerKey=-1, unitNumber=0, capacityInKB=8 * 1024,
    backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        diskMode='persistent', thinProvisioned=True, fileName='[%s]' % datastore.name)))
spec = spec_of('empty of %s' % host.name, [scsi, disk], memoryMB=64, numCPUs=2)
empty = wait(service, folder.CreateVM_Task(config=spec, pool=pool, host=host))
assert empty.parent == folder and empty.resourcePool == pool and empty.runtime.host == host, empty
assert list(folder.childEntity) == [empty] and empty in host.vm and empty in datastore.vm and empty in pool.vm
assert list(empty.datastore) == [datastore]
assert os.stat(os.path.join(datastore_folder, spec.name, spec.name + '-flat.vmdk')).st_size == 8 * 1024 * 1024
fault = refused(vim.fault.DuplicateName, lambda: folder.CreateVM_Task(config=spec, pool=pool, host=host))
assert fault.name == spec.name and fault.object == empty, fault
index = content.searchIndex
assert index.FindByInventoryPath('%s/vm/%s/%s' % (datacenter.name, folder.name, empty.name)) == empty
assert index.FindByUuid(datacenter, empty.config.instanceUuid, True, True) == empty
assert index.FindByUuid(None, empty.config.uuid, True, False) == empty
assert index.FindByDatastorePath(datacenter, empty.config.files.vmPathName) == empty
step('created in a folder on a host')

# A guest whose disk lies in the datastore, by a copy that the test put there.
scsi = device(device=vim.vm.device.ParaVirtualSCSIController(key=-4, busNumber=0, sharedBus='noSharing'))
boot = device(device=vim.vm.device.VirtualDisk(
    key=-1, controllerKey=-4, unitNumber=0, capacityInKB=0,
    backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        diskMode='persistent', fileName='[%s] boot/boot.vmdk' % datastore.name)))
serial = device(device=vim.vm.device.VirtualSerialPort(
    key=-3, yieldOnPoll=True, backing=vim.vm.device.VirtualSerialPort.DeviceBackingInfo(deviceName='')))
nic = device(device=vim.vm.device.VirtualVmxnet3(
    key=-2, backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName='VM Network')))
machine = wait(service, datacenter.vmFolder.CreateVM_Task(
    config=spec_of(name, [scsi, boot, serial, nic], memoryMB=192, numCPUs=1), pool=pool, host=host))
assert machine.network[0].name == 'VM Network' and machine.network[0] in host.network

collector = content.propertyCollector
query = vmodl.query.PropertyCollector
watched = collector.CreateFilter(query.FilterSpec(
    objectSet=[query.ObjectSpec(obj=machine)],
    propSet=[query.PropertySpec(type=vim.VirtualMachine, pathSet=['runtime.powerState', 'guest.toolsRunningStatus'])],
), partialUpdates=True)


def updates(version, seconds=30):
    update = collector.WaitForUpdatesEx(version, query.WaitOptions(maxWaitSeconds=seconds))
    if update is None:
        return version, {}
    changes = {}
    for filtered in update.filterSet:
        for changed in filtered.objectSet:
            assert changed.obj == machine
            changes.update({change.name: change.val for change in changed.changeSet})
    return update.version, changes


version, first = updates('')
assert first['runtime.powerState'] == 'poweredOff', first
task = machine.PowerOnVM_Task()
seen = {}
while seen.get('runtime.powerState') != 'poweredOn':
    version, changes = updates(version)
    assert changes, 'no update of a power-on within 30 s'
    seen.update(changes)
wait(service, task)
info = task.info
assert info.entity == machine and info.entityName == name and info.descriptionId == 'VirtualMachine.powerOn', info
assert info.state == 'success' and info.reason.userName == content.sessionManager.currentSession.userName, info
step('WaitForUpdatesEx around a power-on')

engine = only_engine()
guest = Guest(engine.serial_socket)
assert guest.ready() == machine.config.uuid
assert abs(engine.memory_kib - 192 * 1024) <= 256, engine.memory_kib
fault = refused(vim.fault.InvalidPowerState, machine.PowerOnVM_Task)
assert fault.existingState == 'poweredOn', fault
while seen.get('guest.toolsRunningStatus') != 'guestToolsRunning':
    version, changes = updates(version, 60)
    assert changes, 'the agent is not seen'
    seen.update(changes)
watched.Destroy()
until(lambda: machine.guest.hostName == 'test-guest', 'the host name is known')
assert index.FindByDnsName(None, 'test-guest', True) == machine
ticket = machine.AcquireTicket('webmks')
assert screen_of(ticket).startswith(b'RFB 003.00'), 'the screen says what it speaks'
assert screen_of(ticket) == b'', 'a ticket is for once'
step('the guest runs')

boot_id = guest.run('cat /proc/sys/kernel/random/boot_id')
guest.close()
wait(service, machine.SuspendVM_Task())
assert machine.runtime.powerState == 'suspended' and engines() == []
wait(service, machine.PowerOnVM_Task())
guest = Guest(only_engine().serial_socket)
assert guest.run('cat /proc/sys/kernel/random/boot_id') == boot_id, 'the same boot'
until(lambda: machine.guest.toolsRunningStatus == 'guestToolsRunning', 'the agent is seen')
machine.ShutdownGuest()
until(lambda: machine.runtime.powerState == 'poweredOff', 'the guest shuts down')
until(lambda: engines() == [], 'the engine ends')
step('suspended, resumed, shut down')

wait(service, machine.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=160, annotation='changed')))
assert machine.config.hardware.memoryMB == 160 and machine.summary.config.annotation == 'changed'
vmx = os.path.join(datastore_folder, name, name + '.vmx')
assert re.search(r'^memSize = "160"', open(vmx).read(), re.M)
wait(service, machine.Rename_Task('renamed of %s' % host.name))
assert machine.name == 'renamed of %s' % host.name and re.search(r'^displayName = "renamed', open(vmx).read(), re.M)
wait(service, folder.MoveIntoFolder_Task([machine]))
assert machine.parent == folder and set(folder.childEntity) == {machine, empty}
machine.UnregisterVM()
assert machine not in every(vim.VirtualMachine) and os.path.exists(vmx)
machine = wait(service, folder.RegisterVM_Task(
    path='[%s] %s/%s.vmx' % (datastore.name, name, name), asTemplate=False, pool=pool, host=host))
assert machine.parent == folder and machine.config.hardware.memoryMB == 160
step('reconfigured, renamed, moved, registered again')

ByEntity = vim.event.EventFilterSpec.ByEntity
events = content.eventManager.QueryEvents(vim.event.EventFilterSpec(
    entity=ByEntity(entity=folder, recursion='all')))
assert any(event.vm and event.vm.vm == machine for event in events), events
everything = content.eventManager.CreateCollectorForEvents(vim.event.EventFilterSpec(
    entity=ByEntity(entity=content.rootFolder, recursion='all')))
everything.RewindCollector()
read = []
while True:
    page = everything.ReadNextEvents(50)
    if not page:
        break
    read += page
everything.DestroyCollector()
about = [event for event in read if event.vm and event.vm.name == name]
kinds = [type(event).__name__.split('.')[-1] for event in about]
for kind in ['VmCreatedEvent', 'VmPoweredOnEvent', 'VmSuspendedEvent', 'VmGuestShutdownEvent', 'VmReconfiguredEvent']:
    assert kind in kinds, (kind, kinds)
on = next(event for event in about if isinstance(event, vim.event.VmPoweredOnEvent))
assert on.host.host == host and on.host.name == host.name and on.datacenter.datacenter == datacenter, on
assert on.computeResource.computeResource == compute and on.fullFormattedMessage, on
assert len({event.key for event in read}) == len(read), 'one event, one key'
step('events')

history = content.taskManager.CreateCollectorForTasks(vim.TaskFilterSpec(
    entity=vim.TaskFilterSpec.ByEntity(entity=content.rootFolder, recursion='all')))
history.RewindCollector()
tasks = []
while True:
    page = history.ReadNextTasks(50)
    if not page:
        break
    tasks += page
history.DestroyCollector()
assert not [info for info in tasks if 'vpxuser' in getattr(info.reason, 'userName', '')], 'for whom, not by whom'
ours = [info for info in tasks if info.entityName == name]
described = [info.descriptionId for info in ours]
for wanted in ['VirtualMachine.powerOn', 'VirtualMachine.suspend', 'VirtualMachine.reconfigure', 'VirtualMachine.rename']:
    assert described.count(wanted) >= 1, (wanted, described)
assert described.count('VirtualMachine.suspend') == 1, 'a task of the center and its host is one: %s' % described
assert any(isinstance(info.error, vim.fault.InvalidPowerState) for info in ours), ours
for info in ours:
    assert info.queueTime <= (info.startTime or info.queueTime) <= info.completeTime, info
    assert info.reason.userName == content.sessionManager.currentSession.userName, info.reason
step('tasks')

for each in (machine, empty):
    wait(service, each.Destroy_Task())
wait(service, folder.Destroy_Task())
assert sorted(os.listdir(datastore_folder)) == before, (before, os.listdir(datastore_folder))
refused(vmodl.fault.ManagedObjectNotFound, lambda: machine.name)
step('destroyed')
