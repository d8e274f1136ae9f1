"""Creates a machine with a disk and a NIC, powers it on and off, reconfigures and destroys it; looks at each effect."""
import os
import re

from pyVmomi import vim, vmodl

from host import datastore_folder, engines, only_engine, sign_in, step, until, wait

name = 'made by pyVmomi'
service = sign_in()
content = service.RetrieveContent()
datacenter = content.rootFolder.childEntity[0]
pool = datacenter.hostFolder.childEntity[0].resourcePool
before = sorted(os.listdir(datastore_folder))
folder = os.path.join(datastore_folder, name)


def device(**members):
    return vim.vm.device.VirtualDeviceSpec(operation='add', **members)


spec = vim.vm.ConfigSpec(
    name=name, memoryMB=96, numCPUs=2, guestId='debian11_64Guest', annotation='first line\nsecond: "quoted" | ünï',
    files=vim.vm.FileInfo(vmPathName='[datastore1]'))
spec.deviceChange = [
    device(device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus='noSharing')),
    device(fileOperation='create', device=vim.vm.device.VirtualDisk(
        key=-2, controllerKey=-1, unitNumber=0, capacityInKB=48 * 1024,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            diskMode='persistent', thinProvisioned=True, fileName='[datastore1]'))),
    device(device=vim.vm.device.VirtualVmxnet3(
        key=-3, backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName='VM Network'))),
]
machine = wait(service, datacenter.vmFolder.CreateVM_Task(config=spec, pool=pool))
assert isinstance(machine, vim.VirtualMachine) and machine.name == name
assert machine.config.annotation == spec.annotation, machine.config.annotation
files = sorted(os.listdir(folder))
assert '%s.vmx' % name in files and '%s.vmdk' % name in files and '%s-flat.vmdk' % name in files, files
size = os.stat(os.path.join(folder, '%s-flat.vmdk' % name))
assert size.st_size == 48 * 1024 * 1024, size
assert size.st_blocks * 512 < 1024 * 1024, 'a thin disk takes no space'
descriptor = open(os.path.join(folder, '%s.vmdk' % name)).read()
assert re.search(r'^RW 98304 VMFS "made by pyVmomi-flat.vmdk"', descriptor, re.M), descriptor
assert engines() == [], 'no engine before the power-on'
step('created with a disk and a NIC')

try:
    wait(service, datacenter.vmFolder.CreateVM_Task(config=spec, pool=pool))
    raise SystemExit('made twice')
except vim.fault.DuplicateName as fault:
    assert fault.name == name and fault.object == machine, fault
assert sorted(os.listdir(datastore_folder)) == sorted(before + [name])
step('a second of that name: DuplicateName')

# A filter on the power state, read by WaitForUpdatesEx around the power-on.
collector = content.propertyCollector
query = vmodl.query.PropertyCollector
watched = collector.CreateFilter(query.FilterSpec(
    objectSet=[query.ObjectSpec(obj=machine)],
    propSet=[query.PropertySpec(type=vim.VirtualMachine, pathSet=['runtime.powerState', 'runtime.bootTime'])],
), partialUpdates=True)


def updates(version, seconds=20):
    update = collector.WaitForUpdatesEx(version, query.WaitOptions(maxWaitSeconds=seconds))
    if update is None:
        return version, {}
    changes = {}
    for filtered in update.filterSet:
        assert filtered.filter == watched
        for changed in filtered.objectSet:
            assert changed.obj == machine
            changes.update({change.name: change.val for change in changed.changeSet})
    return update.version, changes


version, first = updates('')
assert first['runtime.powerState'] == 'poweredOff', first
idle, nothing = updates(version, seconds=1)
assert nothing == {} and idle == version, nothing
task = machine.PowerOnVM_Task()
seen = {}
while seen.get('runtime.powerState') != 'poweredOn':
    version, changes = updates(version)
    assert changes, 'no update of a power-on within 20 s'
    seen.update(changes)
assert seen['runtime.bootTime'] is not None, seen
wait(service, task)
watched.Destroy()
engine = only_engine()
assert abs(engine.memory_kib - 96 * 1024) <= 256, engine.memory_kib
assert engine.option('-smp').startswith('2') or 'cpus=2' in engine.option('-smp'), engine.option('-smp')
assert machine.config.uuid in engine.arguments, engine.arguments
nic = next(d for d in machine.config.hardware.device if isinstance(d, vim.vm.device.VirtualVmxnet3))
assert any('vmxnet3' in a and nic.macAddress in a for a in engine.arguments), engine.arguments
assert any('%s-flat.vmdk' % name in a for a in engine.arguments)
step('WaitForUpdatesEx around a power-on')

try:
    wait(service, machine.PowerOnVM_Task())
    raise SystemExit('powered on twice')
except vim.fault.InvalidPowerState as fault:
    assert fault.existingState == 'poweredOn' and fault.requestedState == 'poweredOn', fault
assert only_engine().pid == engine.pid
for refused in (lambda: wait(service, machine.Destroy_Task()), machine.UnregisterVM,
                lambda: wait(service, machine.ReconfigVM_Task(vim.vm.ConfigSpec(firmware='efi')))):
    try:
        refused()
        raise SystemExit('done while it runs')
    except vim.fault.InvalidPowerState:
        pass
assert only_engine().pid == engine.pid
step('what cannot be done while it runs: InvalidPowerState')

for change, refusal in ((vim.vm.ConfigSpec(memoryMB=64), vim.fault.MemoryHotPlugNotSupported),
                        (vim.vm.ConfigSpec(numCPUs=4), vim.fault.CpuHotPlugNotSupported),
                        (vim.vm.ConfigSpec(deviceChange=[device(device=vim.vm.device.VirtualAHCIController(
                            key=-1, busNumber=0))]), vim.fault.DeviceHotPlugNotSupported)):
    try:
        wait(service, machine.ReconfigVM_Task(change))
        raise SystemExit('%s was done while it runs' % refusal)
    except refusal:
        pass
step('what is not plugged while it runs: a fault for each')


def devices(kind):
    return [one for one in machine.config.hardware.device if isinstance(one, kind)]


controller = devices(vim.vm.device.ParaVirtualSCSIController)[0]
wait(service, machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[
    device(fileOperation='create', device=vim.vm.device.VirtualDisk(
        key=-2, controllerKey=controller.key, unitNumber=5, capacityInKB=8 * 1024,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            diskMode='persistent', thinProvisioned=True, fileName='[datastore1] %s/hot.vmdk' % name))),
    device(device=vim.vm.device.VirtualE1000(
        key=-3, backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName='VM Network'))),
])))
hot = os.path.join(folder, 'hot-flat.vmdk')
disk = next(one for one in devices(vim.vm.device.VirtualDisk) if one.unitNumber == 5)
card = devices(vim.vm.device.VirtualE1000)[0]
assert card.connectable.connected and card.macAddress.startswith('00:0c:29:'), card
assert only_engine().pid == engine.pid and hot in only_engine().files(), only_engine().files()
disk.capacityInKB = 16 * 1024
disk.capacityInBytes = None
card.connectable.connected = False
wait(service, machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[
    vim.vm.device.VirtualDeviceSpec(operation='edit', device=disk),
    vim.vm.device.VirtualDeviceSpec(operation='edit', device=card)])))
assert os.stat(hot).st_size == 16 * 1024 * 1024
card = devices(vim.vm.device.VirtualE1000)[0]
assert not card.connectable.connected and card.connectable.startConnected, card
wait(service, machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[
    vim.vm.device.VirtualDeviceSpec(operation='remove', fileOperation='destroy', device=disk)])))
assert hot not in only_engine().files() and not os.path.exists(hot)
step('a disk and an adapter come, change and go while it runs')

wait(service, machine.ResetVM_Task())
assert only_engine().pid == engine.pid and machine.runtime.powerState == 'poweredOn'
step('reset')

wait(service, machine.PowerOffVM_Task())
assert machine.runtime.powerState == 'poweredOff' and machine.runtime.bootTime is None
until(lambda: engines() == [], 'the engine ends')
try:
    machine.PowerOffVM_Task()
    raise SystemExit('powered off twice')
except vim.fault.InvalidPowerState as fault:
    assert fault.existingState == 'poweredOff', fault
step('powered off')

change = machine.config.changeVersion
wait(service, machine.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=160, changeVersion=change)))
assert machine.config.hardware.memoryMB == 160 and machine.summary.config.memorySizeMB == 160
assert re.search(r'^memSize = "160"', open(os.path.join(folder, '%s.vmx' % name)).read(), re.M)
try:
    wait(service, machine.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=128, changeVersion='stale')))
    raise SystemExit('changed what was not read')
except vim.fault.ConcurrentAccess:
    pass
wait(service, machine.PowerOnVM_Task())
assert abs(only_engine().memory_kib - 160 * 1024) <= 256
wait(service, machine.PowerOffVM_Task())
step('reconfigured memory')

second = device(fileOperation='create', device=vim.vm.device.VirtualDisk(
    key=-1, controllerKey=1000, unitNumber=1, capacityInKB=8 * 1024,
    backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(diskMode='persistent', fileName='')))
wait(service, machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[second])))
disks = [d for d in machine.config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)]
assert [d.capacityInKB for d in disks] == [48 * 1024, 8 * 1024], disks
extent = os.path.join(folder, disks[1].backing.fileName.split('/')[-1].replace('.vmdk', '-flat.vmdk'))
assert os.stat(extent).st_size == 8 * 1024 * 1024
removal = vim.vm.device.VirtualDeviceSpec(operation='remove', fileOperation='destroy', device=disks[1])
wait(service, machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[removal])))
assert len([d for d in machine.config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)]) == 1
assert not os.path.exists(extent)
wait(service, machine.Rename_Task('renamed'))
assert machine.name == 'renamed' and machine.config.name == 'renamed'
assert re.search(r'^displayName = "renamed"', open(os.path.join(folder, '%s.vmx' % name)).read(), re.M)
step('a disk added and removed, renamed')

events = content.eventManager.QueryEvents(vim.event.EventFilterSpec(
    entity=vim.event.EventFilterSpec.ByEntity(entity=machine, recursion='self')))
kinds = [type(event).__name__.split('.')[-1] for event in events]
for kind in ['VmCreatedEvent', 'VmPoweredOnEvent', 'VmPoweredOffEvent', 'VmReconfiguredEvent', 'VmRenamedEvent']:
    assert kind in kinds, kinds
created = next(event for event in events if isinstance(event, vim.event.VmCreatedEvent))
assert created.userName == 'root' and created.vm.vm == machine and created.fullFormattedMessage, created
history = content.eventManager.CreateCollectorForEvents(vim.event.EventFilterSpec(
    eventTypeId=['VmPoweredOnEvent']))
history.RewindCollector()
read = history.ReadNextEvents(100)
assert len(read) == 2 and all(isinstance(e, vim.event.VmPoweredOnEvent) for e in read), read
assert history.latestPage, 'the latest page shows events'
history.DestroyCollector()
step('events')

recent = content.taskManager.recentTask
assert recent, 'recent tasks'
infos = [task.info for task in recent]
last = [info for info in infos if info.descriptionId == 'VirtualMachine.powerOn'][-1]
assert last.state == 'success' and last.entity == machine and last.entityName and last.reason.userName == 'root', last
assert last.queueTime <= last.startTime <= last.completeTime, last
failed = [info for info in infos if info.state == 'error']
assert any(isinstance(info.error, vim.fault.ConcurrentAccess) or isinstance(info.error, vim.fault.DuplicateName)
           for info in failed), [info.error for info in failed]
history = content.taskManager.CreateCollectorForTasks(vim.TaskFilterSpec(
    entity=vim.TaskFilterSpec.ByEntity(entity=machine, recursion='self')))
history.RewindCollector()
read = history.ReadNextTasks(100)
described = [info.descriptionId for info in read]
for wanted in ['VirtualMachine.powerOn', 'VirtualMachine.powerOff', 'VirtualMachine.reset', 'VirtualMachine.reconfigure']:
    assert wanted in described, described
history.DestroyCollector()
assert content.taskManager.description.methodInfo, 'task descriptions'
step('tasks')

wait(service, machine.Destroy_Task())
assert sorted(os.listdir(datastore_folder)) == before, os.listdir(datastore_folder)
assert engines() == []
assert machine not in datacenter.vmFolder.childEntity
try:
    machine.name
    raise SystemExit('a destroyed machine answers')
except vmodl.fault.ManagedObjectNotFound as fault:
    assert fault.obj == machine
step('destroyed')
