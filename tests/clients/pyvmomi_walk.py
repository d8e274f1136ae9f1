"""Signs in, reads the inventory and every machine's summary, as reporting scripts do."""

from pyVim.connect import Disconnect
from pyVmomi import vim, vmodl

from host import sign_in, step, wait


def make_machines(service):
    datacenter = service.RetrieveContent().rootFolder.childEntity[0]
    pool = datacenter.hostFolder.childEntity[0].resourcePool
    devices = vim.vm.device
    for number in (1, 2, 3):
        added = [
            devices.ParaVirtualSCSIController(key=1000, busNumber=0, sharedBus='noSharing'),
            devices.VirtualDisk(key=-2, controllerKey=1000, unitNumber=0, capacityInKB=1024 * number,
                                backing=devices.VirtualDisk.FlatVer2BackingInfo(diskMode='persistent', fileName='')),
            devices.VirtualE1000e(key=-3, backing=devices.VirtualEthernetCard.NetworkBackingInfo(
                deviceName='VM Network')),
        ]
        changes = [devices.VirtualDeviceSpec(operation='add', device=device) for device in added]
        changes[1].fileOperation = 'create'
        wait(service, datacenter.vmFolder.CreateVM_Task(pool=pool, config=vim.vm.ConfigSpec(
            name='walk-%d' % number, memoryMB=64 * number, numCPUs=number, guestId='otherLinux64Guest',
            files=vim.vm.FileInfo(vmPathName='[datastore1]'), deviceChange=changes)))

try:
    sign_in('not the password')
    raise SystemExit('a wrong password was taken')
except vim.fault.InvalidLogin as fault:
    assert 'password' in fault.msg.lower(), fault.msg
step('wrong password: InvalidLogin')

service = sign_in()
content = service.RetrieveContent()
session = content.sessionManager.currentSession
assert session.userName == 'root', session
step('signed in')

make_machines(service)
step('made three machines')

about = content.about
assert about.apiType == 'HostAgent' and about.productLineId == 'embeddedEsx', about
assert about.apiVersion and about.version and about.fullName, about
step('about')

everything = [vim.ManagedEntity]
view = content.viewManager.CreateContainerView(content.rootFolder, everything, True)
kinds = sorted({type(entity).__name__.split('.')[-1] for entity in view.view})
for kind in ['Datacenter', 'Datastore', 'Folder', 'HostSystem', 'Network', 'VirtualMachine']:
    assert kind in kinds, kinds
assert any(kind.endswith('ComputeResource') for kind in kinds) and 'ResourcePool' in kinds, kinds
names = {entity.name for entity in view.view}
for name in ['ha-datacenter', 'datastore1', 'VM Network', 'walk-1', 'walk-2', 'walk-3']:
    assert name in names, names
view.Destroy()
try:
    view.view
    raise SystemExit('a destroyed view answers')
except vmodl.fault.ManagedObjectNotFound:
    pass
step('inventory by a ContainerView')

view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
machines = sorted(view.view, key=lambda machine: machine.name)
assert [machine.name for machine in machines] == ['walk-1', 'walk-2', 'walk-3']
for number, machine in enumerate(machines, 1):
    assert machine.runtime.powerState == vim.VirtualMachine.PowerState.poweredOff
    hardware = machine.config.hardware
    assert hardware.memoryMB == 64 * number and hardware.numCPU == number, hardware
    disks = [device for device in hardware.device if isinstance(device, vim.vm.device.VirtualDisk)]
    assert len(disks) == 1 and disks[0].capacityInKB == 1024 * number, disks
    controllers = {device.key: device for device in hardware.device}
    assert isinstance(controllers[disks[0].controllerKey], vim.vm.device.ParaVirtualSCSIController)
    nics = [device for device in hardware.device if isinstance(device, vim.vm.device.VirtualEthernetCard)]
    assert len(nics) == 1 and isinstance(nics[0], vim.vm.device.VirtualE1000e), nics
    assert nics[0].backing.deviceName == 'VM Network'
step('name, power state and hardware')

# All summaries in one call, as getallvms.py and the reporting tools do.
collector = vmodl.query.PropertyCollector
traversal = collector.TraversalSpec(name='view', type=vim.view.ContainerView, path='view', skip=False)
objects = collector.ObjectSpec(obj=view, skip=True, selectSet=[traversal])
wanted = collector.PropertySpec(type=vim.VirtualMachine, pathSet=['name', 'summary', 'config.hardware.device'])
result = content.propertyCollector.RetrievePropertiesEx(
    [collector.FilterSpec(objectSet=[objects], propSet=[wanted])], collector.RetrieveOptions(maxObjects=2))
found = list(result.objects)
assert len(found) == 2 and result.token, 'pages of two'
while result.token:
    result = content.propertyCollector.ContinueRetrievePropertiesEx(result.token)
    found += result.objects
summaries = {}
for entry in found:
    assert not entry.missingSet, entry.missingSet
    values = {value.name: value.val for value in entry.propSet}
    summaries[values['name']] = values['summary']
assert sorted(summaries) == ['walk-1', 'walk-2', 'walk-3']
for number, name in enumerate(sorted(summaries), 1):
    summary = summaries[name]
    assert summary.vm.name == name and summary.config.name == name
    assert summary.config.memorySizeMB == 64 * number and summary.config.numCpu == number
    assert summary.config.numVirtualDisks == 1 and summary.config.numEthernetCards == 1
    assert summary.config.vmPathName == '[datastore1] %s/%s.vmx' % (name, name)
    assert len(summary.config.uuid) == 36 and len(summary.config.instanceUuid) == 36
    assert summary.runtime.powerState == 'poweredOff' and summary.runtime.host.name
    assert summary.storage.committed > 0 and summary.overallStatus in ('green', 'gray')
step('summary of all machines')

datacenter = content.rootFolder.childEntity[0]
datastore = datacenter.datastore[0]
assert datastore.summary.accessible and datastore.summary.capacity > datastore.summary.freeSpace > 0
assert sorted(machine.name for machine in datastore.vm) == ['walk-1', 'walk-2', 'walk-3']
compute = datacenter.hostFolder.childEntity[0]
host = compute.host[0]
assert host.summary.hardware.memorySize > 2 ** 29 and host.summary.hardware.numCpuThreads >= 1
assert host.runtime.connectionState == 'connected' and not host.runtime.inMaintenanceMode
assert len(host.vm) == 3 and compute.resourcePool.vm and compute.network[0].name == 'VM Network'
found = content.searchIndex.FindByInventoryPath('ha-datacenter/vm/walk-2')
assert found == machines[1], found
assert content.searchIndex.FindByUuid(None, machines[2].config.uuid, True) == machines[2]
assert content.searchIndex.FindByDatastorePath(datacenter, '[datastore1] walk-1/walk-1.vmx') == machines[0]
step('host, datastore and search')

Disconnect(service)
try:
    machines[0].name
    raise SystemExit('a session answers after its end')
except vim.fault.NotAuthenticated:
    pass
step('signed out')
