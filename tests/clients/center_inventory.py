"""Creates, moves, renames and destroys datacenters, folders, clusters and pools; custom fields, roles, permissions."""
from pyVmomi import vim, vmodl

from center import compute, content, datacenter, every, host, named, pool, refused, service, step, wait
from host import sign_in

root = content.rootFolder


def gone(entity):
    refused(vmodl.fault.ManagedObjectNotFound, lambda: entity.name)


continent = root.CreateFolder('continent')
site = continent.CreateDatacenter('site')
assert site.parent == continent and list(continent.childEntity) == [site]
assert sorted([site.vmFolder.name, site.hostFolder.name, site.datastoreFolder.name, site.networkFolder.name]) == [
    'datastore', 'host', 'network', 'vm']
fault = refused(vim.fault.DuplicateName, lambda: continent.CreateDatacenter('site'))
assert fault.name == 'site' and fault.object == site, fault
refused(vim.fault.InvalidName, lambda: continent.CreateFolder(''))
refused(vmodl.fault.NotSupported, lambda: site.vmFolder.CreateDatacenter('not here'))
front = site.vmFolder.CreateFolder('front / end')
assert front.name == 'front %2f end', front.name
inner = front.CreateFolder('inner')
wait(service, front.Rename_Task('front'))
assert front.name == 'front'
assert content.searchIndex.FindByInventoryPath('continent/site/vm/front/inner') == inner
fault = refused(vim.fault.DuplicateName, lambda: site.vmFolder.CreateFolder('front'))
assert fault.object == front, fault
refused(vim.fault.InvalidFolder, lambda: inner.MoveIntoFolder_Task([front]))
wait(service, site.vmFolder.MoveIntoFolder_Task([inner]))
assert inner.parent == site.vmFolder and list(front.childEntity) == []
refused(vim.fault.InvalidFolder, lambda: site.hostFolder.MoveIntoFolder_Task([inner]))
wait(service, root.MoveIntoFolder_Task([site]))
assert site.parent == root and content.searchIndex.FindByInventoryPath('site/vm/inner') == inner
wait(service, continent.Destroy_Task())
gone(continent)
refused(vmodl.fault.NotSupported, lambda: site.vmFolder.Destroy_Task())
step('datacenters and folders')

cluster = site.hostFolder.CreateClusterEx('cluster', vim.cluster.ConfigSpecEx())
assert isinstance(cluster, vim.ClusterComputeResource) and cluster.parent == site.hostFolder
assert cluster.resourcePool.name == 'Resources' and cluster.resourcePool.owner == cluster
assert list(cluster.host) == [] and cluster.summary.numHosts == 0
wait(service, cluster.ReconfigureComputeResource_Task(vim.cluster.ConfigSpecEx(
    drsConfig=vim.cluster.DrsConfigInfo(enabled=True, defaultVmBehavior='manual')), True))
assert cluster.configurationEx.drsConfig.enabled and cluster.configurationEx.drsConfig.defaultVmBehavior == 'manual'
refused(vim.fault.DuplicateName, lambda: site.hostFolder.CreateClusterEx('cluster', vim.cluster.ConfigSpecEx()))
wait(service, cluster.Rename_Task('one'))
racks = site.hostFolder.CreateFolder('racks')
wait(service, racks.MoveIntoFolder_Task([cluster]))
assert cluster.parent == racks and content.searchIndex.FindByInventoryPath('site/host/racks/one') == cluster
wait(service, cluster.Destroy_Task())
gone(cluster)
step('clusters')


def allocation(limit, level='normal', reservation=0):
    return vim.ResourceAllocationInfo(reservation=reservation, limit=limit, expandableReservation=True,
                                      shares=vim.SharesInfo(level=level, shares=0))


def config(cpu=-1, level='normal'):
    return vim.ResourceConfigSpec(cpuAllocation=allocation(cpu, level), memoryAllocation=allocation(-1))


batch = pool.CreateResourcePool('batch', config(2000, 'low'))
assert batch.parent == pool and batch.owner == compute and batch.config.cpuAllocation.limit == 2000
assert batch.config.cpuAllocation.shares.shares == 2000, batch.config.cpuAllocation.shares
nightly = batch.CreateResourcePool('nightly', config())
assert list(batch.resourcePool) == [nightly]
refused(vim.fault.DuplicateName, lambda: pool.CreateResourcePool('batch', config()))
batch.UpdateConfig('weekly', config(3000, 'high'))
assert batch.name == 'weekly' and batch.config.cpuAllocation.limit == 3000
pool.MoveIntoResourcePool([nightly])
assert nightly.parent == pool and list(batch.resourcePool) == []
machine = wait(service, datacenter.vmFolder.CreateVM_Task(
    config=vim.vm.ConfigSpec(name='in a pool', memoryMB=16, numCPUs=1, guestId='otherGuest',
                             files=vim.vm.FileInfo(vmPathName='[datastore1]')), pool=nightly, host=host))
assert machine.resourcePool == nightly and list(nightly.vm) == [machine] and machine not in pool.vm
batch.MoveIntoResourcePool([machine])
assert machine.resourcePool == batch and list(nightly.vm) == []
wait(service, batch.Destroy_Task())
assert machine.resourcePool == pool, 'what a pool had goes up'
wait(service, nightly.Destroy_Task())
gone(nightly)
assert list(pool.resourcePool) == []
step('resource pools')

fields = content.customFieldsManager
owner = fields.AddCustomFieldDef('owner', vim.VirtualMachine, None, None)
site_code = fields.AddCustomFieldDef('site code', None, None, None)
refused(vim.fault.DuplicateName, lambda: fields.AddCustomFieldDef('owner', vim.VirtualMachine, None, None))
fields.SetField(machine, owner.key, 'web team')
machine.setCustomValue('site code', '83')
assert {value.key: value.value for value in machine.customValue} == {owner.key: 'web team', site_code.key: '83'}
assert {field.name for field in machine.availableField} >= {'owner', 'site code'}
refused(vmodl.fault.InvalidArgument, lambda: fields.SetField(site, owner.key, 'a datacenter has none'))
fields.RenameCustomFieldDef(owner.key, 'team')
assert [field.name for field in fields.field if field.key == owner.key] == ['team']
fields.RemoveCustomFieldDef(owner.key)
assert [value.key for value in machine.customValue] == [site_code.key]
fields.RemoveCustomFieldDef(site_code.key)
assert list(machine.customValue) == [] and machine not in [site]
wait(service, machine.Destroy_Task())
step('custom fields')

rights = content.authorizationManager
roles = {role.name: role.roleId for role in rights.roleList}
assert roles['Admin'] == -1 and roles['ReadOnly'] == -2 and roles['NoAccess'] == -5, roles
operators = rights.AddAuthorizationRole('operators', ['VirtualMachine.Interact.PowerOn'])
refused(vim.fault.AlreadyExists, lambda: rights.AddAuthorizationRole('operators', []))
rights.UpdateAuthorizationRole(operators, 'operators', ['VirtualMachine.Interact.PowerOn', 'Folder.Create'])
privileges = next(role for role in rights.roleList if role.roleId == operators).privilege
assert {'VirtualMachine.Interact.PowerOn', 'Folder.Create', 'System.Read', 'System.View'} <= set(privileges), privileges
accounts = content.accountManager
accounts.CreateUser(vim.host.LocalAccountManager.AccountSpecification(id='olga', password='a Long 1 word!'))
rights.SetEntityPermissions(site, [vim.AuthorizationManager.Permission(
    principal='vsphere.local\\olga', group=False, roleId=operators, propagate=True)])
found = rights.RetrieveEntityPermissions(site, False)
assert [each.principal.lower() for each in found] == ['vsphere.local\\olga'], found
refused(vim.fault.RemoveFailed, lambda: rights.RemoveAuthorizationRole(operators, True))
assert named(vim.Datacenter, 'site') == site
import host as account  # noqa: E402
account.user = 'olga@vsphere.local'
other = sign_in('a Long 1 word!').RetrieveContent()
view = other.viewManager.CreateContainerView(other.rootFolder, [vim.ManagedEntity], True)
seen = {each._moId for each in view.view}
assert site._moId in seen and site.vmFolder._moId in seen, seen
assert host._moId not in seen and datacenter._moId not in seen, 'what she may not read is not there'
theirs = next(each for each in view.view if each._moId == site.vmFolder._moId)
made = theirs.CreateFolder('by olga')
fault = refused(vim.fault.NoPermission, lambda: made.Destroy_Task())
assert fault.object._moId == made._moId and fault.privilegeId == 'Folder.Delete', fault
rights.RemoveEntityPermission(site, 'vsphere.local\\olga', False)
rights.RemoveAuthorizationRole(operators, True)
accounts.RemoveUser('olga')
wait(service, site.Destroy_Task())
gone(made)
assert site not in every(vim.Datacenter)
step('roles and permissions')
