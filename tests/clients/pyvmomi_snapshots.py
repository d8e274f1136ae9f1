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
