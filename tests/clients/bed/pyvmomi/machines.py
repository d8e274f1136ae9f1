"""Machines made, driven, copied and kept by scripts; each effect is looked at in the engine and the files."""
import os

from pyVmomi import vim, vmodl

from cases import case, on_datastore, refused
from engine import engines
from face import (content, create, datacenter, destroy, devices, disk, engine_of, has_line, host, machine_of, nic, own,
                  pool, reconfigure, scsi, size_of, wait)


@case('made with a disk and a card', quick=True)
def made():
    with machine_of('made', devices=[scsi(), disk(8), nic()], memoryMB=80, numCPUs=2) as machine:
        name = machine.name
        assert size_of(on_datastore(name, name + '-flat.vmdk')) == 8 << 20
        wait(machine.PowerOnVM_Task())
        engine = engine_of(machine)
        assert abs(engine.memory_kib - 80 * 1024) <= 256, engine.memory_kib
        assert len(engine.monitor('query-cpus-fast')) == 2
        card = devices(machine, vim.vm.device.VirtualE1000)[0]
        assert engine.has(card.macAddress), card.macAddress
    assert not os.path.exists(on_datastore(name))


@case('a second machine of one name')
def duplicate():
    with machine_of('twice') as machine:
        fault = refused(vim.fault.DuplicateName, lambda: create(machine.name))
        assert fault.object == machine, fault
    assert not os.path.exists(on_datastore('%s-twice' % own))


@case('powered on and off', quick=True)
def power():
    with machine_of('power') as machine:
        wait(machine.PowerOnVM_Task())
        assert engine_of(machine) and machine.runtime.bootTime
        fault = refused(vim.fault.InvalidPowerState, lambda: wait(machine.PowerOnVM_Task()))
        assert fault.existingState == 'poweredOn', fault
        wait(machine.PowerOffVM_Task())
        assert engine_of(machine) is None and machine.runtime.powerState == 'poweredOff'


@case('reset')
def reset():
    with machine_of('reset', on=True) as machine:
        pid = engine_of(machine).pid
        wait(machine.ResetVM_Task())
        assert engine_of(machine).pid == pid and machine.runtime.powerState == 'poweredOn'


@case('suspended and resumed', quick=True)
def suspend():
    with machine_of('suspend', on=True) as machine:
        wait(machine.SuspendVM_Task())
        assert engine_of(machine) is None and machine.runtime.powerState == 'suspended'
        assert [name for name in os.listdir(on_datastore(machine.name)) if name.endswith('.vmss')]
        wait(machine.PowerOnVM_Task())
        assert engine_of(machine) is not None
        assert not [name for name in os.listdir(on_datastore(machine.name)) if name.endswith('.vmss')]


@case('a change of power by WaitForUpdatesEx')
def updates():
    query = vmodl.query.PropertyCollector
    collector = content.propertyCollector
    with machine_of('updates') as machine:
        watched = collector.CreateFilter(query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=machine)],
            propSet=[query.PropertySpec(type=vim.VirtualMachine, pathSet=['runtime.powerState'])]), False)
        version = collector.WaitForUpdatesEx('').version
        task = machine.PowerOnVM_Task()
        states = []
        while 'poweredOn' not in states:
            update = collector.WaitForUpdatesEx(version, query.WaitOptions(maxWaitSeconds=60))
            assert update, 'an update within a minute'
            version = update.version
            states += [change.val for each in update.filterSet for found in each.objectSet for change in found.changeSet]
        wait(task)
        watched.Destroy()
        assert engine_of(machine) is not None


@case('destroyed, renamed and unregistered while it runs')
def busy():
    with machine_of('busy', on=True) as machine:
        for action in (lambda: wait(machine.Destroy_Task()), machine.UnregisterVM):
            refused(vim.fault.InvalidPowerState, action)
        wait(machine.Rename_Task(machine.name + ' anew'))
        has_line(machine, 'displayName = ".* anew"')
        assert engine_of(machine) is not None


@case('unregistered and registered')
def register():
    machine = create('%s-registered' % own)
    path, uuid = machine.config.files.vmPathName, machine.config.uuid
    machine.UnregisterVM()
    refused(vmodl.fault.ManagedObjectNotFound, lambda: machine.name)
    assert os.path.exists(on_datastore(path.split('] ')[1]))
    again = wait(datacenter.vmFolder.RegisterVM_Task(path=path, asTemplate=False, pool=pool, host=host))
    try:
        assert again.config.uuid == uuid
        wait(again.PowerOnVM_Task())
        assert engine_of(again) is not None
    finally:
        destroy(again)


@case('a stale reference')
def stale():
    with machine_of('stale') as machine:
        pass
    fault = refused(vmodl.fault.ManagedObjectNotFound, lambda: machine.runtime)
    assert fault.obj == machine and not os.path.exists(on_datastore('%s-stale' % own))


@case('changed by one who read an older version')
def concurrent():
    with machine_of('concurrent') as machine:
        version = machine.config.changeVersion
        reconfigure(machine, annotation='first', changeVersion=version)
        refused(vim.fault.ConcurrentAccess, lambda: reconfigure(machine, annotation='second', changeVersion=version))
        has_line(machine, 'annotation = "first"')


@case('events and tasks of a machine')
def history():
    with machine_of('history', on=True) as machine:
        wait(machine.PowerOffVM_Task())
        by = vim.event.EventFilterSpec.ByEntity(entity=machine, recursion='self')
        events = content.eventManager.QueryEvents(vim.event.EventFilterSpec(entity=by))
        kinds = [type(event).__name__.split('.')[-1] for event in events]
        for kind in ['VmCreatedEvent', 'VmPoweredOnEvent', 'VmPoweredOffEvent']:
            assert kind in kinds, kinds
        collector = content.taskManager.CreateCollectorForTasks(vim.TaskFilterSpec(
            entity=vim.TaskFilterSpec.ByEntity(entity=machine, recursion='self')))
        collector.RewindCollector()
        tasks = {info.descriptionId: info.state for info in collector.ReadNextTasks(100)}
        collector.DestroyCollector()
        assert tasks['VirtualMachine.powerOn'] == 'success' and tasks['VirtualMachine.powerOff'] == 'success', tasks
        assert engine_of(machine) is None


@case('snapshots: the disk goes back', quick=True)
def snapshot():
    with machine_of('snapshot', on=True) as machine:
        engine_of(machine).disk_io('write -P 17 0 65536', 'flush')
        wait(machine.CreateSnapshot_Task('first', 'before', False, False))
        engine_of(machine).disk_io('write -P 34 0 65536', 'read -P 34 0 65536', 'flush')
        tree = machine.snapshot.rootSnapshotList
        assert [(each.name, each.description) for each in tree] == [('first', 'before')], tree
        wait(tree[0].snapshot.RevertToSnapshot_Task())
        wait(machine.PowerOnVM_Task())
        engine_of(machine).disk_io('read -P 17 0 65536')


@case('snapshots removed into one disk')
def consolidate():
    with machine_of('consolidate', on=True) as machine:
        wait(machine.CreateSnapshot_Task('first', '', False, False))
        engine_of(machine).disk_io('write -P 51 0 65536', 'flush')
        wait(machine.CreateSnapshot_Task('second', '', False, False))
        assert os.path.exists(on_datastore(machine.name, machine.name + '-000002.vmdk'))
        wait(machine.RemoveAllSnapshots_Task())
        assert machine.snapshot is None
        engine_of(machine).disk_io('read -P 51 0 65536')
        wait(machine.PowerOffVM_Task())
        assert not [name for name in os.listdir(on_datastore(machine.name)) if '-00000' in name]
        with open(on_datastore(machine.name, machine.name + '-flat.vmdk'), 'rb') as file:
            assert file.read(65536) == bytes([51]) * 65536


@case('a snapshot as a tree, and its configuration')
def tree():
    with machine_of('tree', annotation='one') as machine:
        first = wait(machine.CreateSnapshot_Task('first', '', False, False))
        reconfigure(machine, annotation='two', memoryMB=96)
        second = wait(machine.CreateSnapshot_Task('second', '', False, False))
        assert first.childSnapshot == [second] and first.config.annotation == 'one'
        wait(first.RevertToSnapshot_Task())
        has_line(machine, 'annotation = "one"')
        has_line(machine, 'memSize = "64"')
        assert machine.snapshot.currentSnapshot == first


def clone(machine, name, location=None, **members):
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(**(location or {})),
                            **{'powerOn': False, 'template': False, **members})
    return wait(machine.CloneVM_Task(folder=datacenter.vmFolder, name=name, spec=spec))


@case('cloned', at=('center',), quick=True)
def cloned():
    with machine_of('source', on=True) as machine:
        engine_of(machine).disk_io('write -P 68 0 65536', 'flush')
        wait(machine.PowerOffVM_Task())
        copy = clone(machine, '%s-copy' % own, config=vim.vm.ConfigSpec(annotation='a copy', memoryMB=96))
        try:
            assert copy.config.uuid != machine.config.uuid
            has_line(copy, 'annotation = "a copy"')
            with open(on_datastore(copy.name, copy.name + '-flat.vmdk'), 'rb') as file:
                assert file.read(65536) == bytes([68]) * 65536
            wait(copy.PowerOnVM_Task())
            assert abs(engine_of(copy).memory_kib - 96 * 1024) <= 256
        finally:
            destroy(copy)


@case('cloned by links', at=('center',))
def linked():
    with machine_of('linked') as machine:
        base = wait(machine.CreateSnapshot_Task('base', '', False, False))
        copies = [clone(machine, '%s-link-%d' % (own, number), {'diskMoveType': 'createNewChildDiskBacking'},
                        snapshot=base) for number in range(3)]
        try:
            for copy in copies:
                backing = devices(copy, vim.vm.device.VirtualDisk)[0].backing
                assert backing.parent.fileName == '[datastore1] %s/%s.vmdk' % (machine.name, machine.name), backing
                wait(copy.PowerOnVM_Task())
            assert {copy.config.uuid for copy in copies} <= {engine.uuid for engine in engines()}
        finally:
            for copy in copies:
                destroy(copy)


@case('a template', at=('center',))
def template():
    with machine_of('template') as machine:
        machine.MarkAsTemplate()
        try:
            refused(vmodl.MethodFault, lambda: wait(machine.PowerOnVM_Task()))
            assert engine_of(machine) is None and machine.config.template
            copy = clone(machine, '%s-deployed' % own, {'pool': pool}, powerOn=True)
            try:
                assert engine_of(copy) is not None and not copy.config.template
            finally:
                destroy(copy)
        finally:
            machine.MarkAsVirtualMachine(pool=pool, host=host)


@case('thin made thick', at=('center',))
def thick():
    with machine_of('thick') as machine:
        wait(machine.RelocateVM_Task(vim.vm.RelocateSpec(transform='flat')))
        found = os.stat(on_datastore(machine.name, machine.name + '-flat.vmdk'))
        assert found.st_blocks * 512 >= found.st_size, found


@case('moved into a folder', at=('center',))
def folder():
    with machine_of('moved') as machine:
        place = datacenter.vmFolder.CreateFolder('folder of %s' % own)
        try:
            wait(place.MoveIntoFolder_Task([machine]))
            assert machine.parent == place and list(place.childEntity) == [machine]
            path = '%s/vm/folder of %s/%s' % (datacenter.name, own, machine.name)
            assert content.searchIndex.FindByInventoryPath(path) == machine
            wait(datacenter.vmFolder.MoveIntoFolder_Task([machine]))
        finally:
            wait(place.Destroy_Task())


@case('a field of its own', at=('center',))
def custom_field():
    field = content.customFieldsManager.AddCustomFieldDef('cost centre', vim.VirtualMachine)
    try:
        with machine_of('field') as machine:
            machine.setCustomValue('cost centre', '42')
            assert [value.value for value in machine.customValue] == ['42'], machine.customValue
    finally:
        content.customFieldsManager.RemoveCustomFieldDef(field.key)


@case('in a resource pool')
def resource_pool():
    def share():
        return vim.ResourceAllocationInfo(reservation=0, limit=-1, expandableReservation=True,
                                          shares=vim.SharesInfo(level='normal', shares=0))
    inner = pool.CreateResourcePool('pool of %s' % own, vim.ResourceConfigSpec(
        cpuAllocation=share(), memoryAllocation=share()))
    try:
        with machine_of('pooled', on=True) as machine:
            inner.MoveIntoResourcePool([machine])
            assert machine.resourcePool == inner and list(inner.vm) == [machine]
            assert engine_of(machine) is not None
    finally:
        inner.DestroyChildren()
        wait(inner.Destroy_Task())
