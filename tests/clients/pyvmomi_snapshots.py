"""Takes snapshots of a machine, looks at the tree, reverts, renames and removes; looks at each effect."""
import os

from pyVmomi import vim, vmodl

from host import datastore_folder, sign_in, step, wait

name = 'taken by pyVmomi'
service = sign_in()
content = service.RetrieveContent()
datacenter = content.rootFolder.childEntity[0]
pool = datacenter.hostFolder.childEntity[0].resourcePool
folder = os.path.join(datastore_folder, name)


def device(**members):
    return vim.vm.device.VirtualDeviceSpec(operation='add', **members)


spec = vim.vm.ConfigSpec(
    name=name, memoryMB=64, numCPUs=1, guestId='debian11_64Guest', annotation='one',
    files=vim.vm.FileInfo(vmPathName='[datastore1]'))
spec.deviceChange = [
    device(device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus='noSharing')),
    device(fileOperation='create', device=vim.vm.device.VirtualDisk(
        key=-2, controllerKey=-1, unitNumber=0, capacityInKB=1024,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            diskMode='persistent', thinProvisioned=True, fileName='[datastore1]'))),
]
machine = wait(service, datacenter.vmFolder.CreateVM_Task(config=spec, pool=pool))
assert machine.snapshot is None and machine.rootSnapshot == []
assert machine.capability.snapshotOperationsSupported


def disk_of(config):
    [disk] = [one for one in config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk)]
    return disk.backing.fileName


first = wait(service, machine.CreateSnapshot_Task(name='first', description='before', memory=False, quiesce=False))
assert isinstance(first, vim.vm.Snapshot), first
wait(service, machine.ReconfigVM_Task(vim.vm.ConfigSpec(annotation='two', memoryMB=96)))
second = wait(service, machine.CreateSnapshotEx_Task(name='second', memory=False))
assert disk_of(machine.config) == '[datastore1] %s/%s-000002.vmdk' % (name, name), disk_of(machine.config)
assert '%s.vmsd' % name in os.listdir(folder)
step('taken')

[root] = machine.snapshot.rootSnapshotList
assert (root.name, root.description, root.id, root.state) == ('first', 'before', 1, 'poweredOff'), root
assert root.snapshot == first and root.vm == machine and not root.quiesced
[child] = root.childSnapshotList
assert child.snapshot == second and child.childSnapshotList == []
assert machine.snapshot.currentSnapshot == second and machine.rootSnapshot == [first]
assert [one.key for one in machine.layoutEx.snapshot] == [first, second]
step('the tree')

assert first.vm == machine and first.childSnapshot == [second]
assert first.config.annotation == 'one' and first.config.hardware.memoryMB == 64
assert disk_of(first.config) == '[datastore1] %s/%s.vmdk' % (name, name)
step('the configuration of a snapshot')

second.RenameSnapshot(name='later', description='renamed')
assert machine.snapshot.rootSnapshotList[0].childSnapshotList[0].name == 'later'
step('renamed')

wait(service, first.RevertToSnapshot_Task())
assert machine.config.annotation == 'one' and machine.config.hardware.memoryMB == 64
assert machine.snapshot.currentSnapshot == first
step('reverted')

other = wait(service, machine.CreateSnapshot_Task(name='other', memory=False, quiesce=False))
[root] = machine.snapshot.rootSnapshotList
assert [one.name for one in root.childSnapshotList] == ['later', 'other']
wait(service, machine.RevertToCurrentSnapshot_Task())
step('a branch')

wait(service, first.RemoveSnapshot_Task(removeChildren=True))
assert machine.snapshot is None and not machine.runtime.consolidationNeeded
assert disk_of(machine.config) == '[datastore1] %s/%s.vmdk' % (name, name)
left = sorted(one for one in os.listdir(folder) if one.endswith(('.vmdk', '.qcow2', '.vmsn')))
assert left == ['%s-flat.vmdk' % name, '%s.vmdk' % name], left
step('removed with its children')

try:
    wait(service, machine.RevertToCurrentSnapshot_Task())
    raise SystemExit('reverted to nothing')
except vim.fault.NotFound:
    pass
try:
    other.RenameSnapshot(name='gone')
    raise SystemExit('renamed what is gone')
except vmodl.fault.ManagedObjectNotFound as fault:
    assert fault.obj == other
try:
    wait(service, machine.CreateSnapshot_Task(name='', memory=False, quiesce=False))
    raise SystemExit('taken without a name')
except vim.fault.InvalidName:
    pass
step('documented faults')

wait(service, machine.CreateSnapshot_Task(name='a', memory=False, quiesce=True))
wait(service, machine.CreateSnapshot_Task(name='b', memory=True, quiesce=False))
wait(service, machine.RemoveAllSnapshots_Task())
assert machine.snapshot is None
wait(service, machine.ConsolidateVMDisks_Task())
wait(service, machine.Destroy_Task())
assert not os.path.exists(folder)
step('all removed')

name = 'tracked by pyVmomi'
folder = os.path.join(os.path.dirname(folder), name)
spec.name = name
tracked = wait(service, datacenter.vmFolder.CreateVM_Task(config=spec, pool=pool))
[disk] = [one for one in tracked.config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk)]
assert tracked.capability.changeTrackingSupported and not tracked.config.changeTrackingEnabled


def change_id(config):
    [one] = [one for one in config.hardware.device if isinstance(one, vim.vm.device.VirtualDisk)]
    return one.backing.changeId


def changed(change, snapshot=None):
    """Areas as backup programs ask for them: an answer goes as far as it goes."""
    areas, position = [], 0
    while position < disk.capacityInBytes:
        info = tracked.QueryChangedDiskAreas(
            snapshot=snapshot, deviceKey=disk.key, startOffset=position, changeId=change)
        assert info.startOffset == position and info.length > 0, info
        areas += [(one.start, one.length) for one in info.changedArea]
        position += info.length
    return areas


def write(offset, data):
    """As somebody who knows nothing of us."""
    with open(os.path.join(folder, '%s-flat.vmdk' % name), 'r+b') as flat:
        flat.seek(offset)
        flat.write(data)


write(128 * 1024, b'before anybody asked')
wait(service, tracked.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True)))
assert tracked.config.changeTrackingEnabled and change_id(tracked.config) is None
wait(service, tracked.PowerOnVM_Task())
since = change_id(tracked.config)
assert since, tracked.config
full = wait(service, tracked.CreateSnapshot_Task(name='full', memory=False, quiesce=False))
assert change_id(full.config) and changed(since, full) == []
assert changed('*', full) == [(128 * 1024, 64 * 1024)], changed('*', full)
wait(service, full.RemoveSnapshot_Task(removeChildren=False))
assert changed(since) == []
wait(service, tracked.PowerOffVM_Task())
assert changed(since) == []
for wrong in [dict(changeId='no id'), dict(startOffset=disk.capacityInBytes), dict(deviceKey=1)]:
    arguments = dict(dict(deviceKey=disk.key, startOffset=0, changeId=since), **wrong)
    try:
        tracked.QueryChangedDiskAreas(**arguments)
        raise SystemExit('answered %s' % wrong)
    except vim.fault.FileFault:
        assert 'changeId' in wrong
    except vmodl.fault.InvalidArgument:
        assert 'changeId' not in wrong
write(512 * 1024, b'while it was off')
try:
    changed(since)
    raise SystemExit('told what nobody saw')
except vim.fault.FileFault:
    pass
wait(service, tracked.PowerOnVM_Task())
assert change_id(tracked.config) not in (None, since)
wait(service, tracked.PowerOffVM_Task())
assert '%s-ctk.qcow2' % name in os.listdir(folder)
wait(service, tracked.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=False)))
assert '%s-ctk.qcow2' % name not in os.listdir(folder)
wait(service, tracked.Destroy_Task())
assert not os.path.exists(folder)
step('changed blocks')
