"""Signs in at a center, reads what it is, walks the whole tree with all properties, and finds what lies in it."""
from pyVim.connect import Disconnect
from pyVmomi import vim, vmodl

from center import compute, content, datacenter, datastore, every, host, pool, properties, refused, service
from host import sign_in, step

refused(vim.fault.InvalidLogin, lambda: sign_in('not the password'))
about = content.about
assert about.apiType == 'VirtualCenter' and about.productLineId == 'vpx', about
assert about.instanceUuid and about.apiVersion and about.fullName, about
for manager in ['propertyCollector', 'viewManager', 'sessionManager', 'authorizationManager', 'eventManager',
                'taskManager', 'searchIndex', 'fileManager', 'virtualDiskManager', 'ovfManager', 'customFieldsManager',
                'alarmManager', 'extensionManager', 'licenseManager', 'setting', 'userDirectory']:
    assert getattr(content, manager) is not None, manager
step('a center, with its managers')

# By the ways that every tool goes: from the root folder down.
seen = {}


def walk(entity, path):
    assert entity not in seen, 'twice in the tree: %s and %s' % (seen[entity], path)
    seen[entity] = path
    if isinstance(entity, vim.Folder):
        below = list(entity.childEntity)
    elif isinstance(entity, vim.Datacenter):
        below = [entity.vmFolder, entity.hostFolder, entity.datastoreFolder, entity.networkFolder]
    elif isinstance(entity, vim.ComputeResource):
        below = list(entity.host) + [entity.resourcePool]
    elif isinstance(entity, vim.ResourcePool):
        below = list(entity.resourcePool)
    else:
        below = []
    for child in below:
        assert child.parent == entity, (child, child.parent, entity)
        walk(child, path + [child.name])


walk(content.rootFolder, [])
viewed = set(every(vim.ManagedEntity))
assert viewed == set(seen) - {content.rootFolder}, viewed ^ set(seen)
kinds = {type(entity) for entity in seen}
for kind in [vim.Folder, vim.Datacenter, vim.ComputeResource, vim.HostSystem, vim.ResourcePool, vim.Datastore,
             vim.Network]:
    assert any(issubclass(each, kind) for each in kinds), kind
references = [entity._moId for entity in seen]
assert len(set(references)) == len(references), 'references are unique whatever their type'
step('the tree by its folders, and by a view')

for kind in kinds:
    objects = [entity for entity in seen if type(entity) is kind]
    found = properties(kind, None, objects)
    assert set(found) == set(objects)
    for entity, values in found.items():
        assert values['name'], entity
        assert values.get('overallStatus', 'green') in ('green', 'gray', 'yellow', 'red'), values
# What a client reads one by one must be what it reads at once, for every property that its own version knows.
for entity in [host, compute, pool, datastore, datacenter]:
    for info in entity._GetPropertyList():
        getattr(entity, info.name)
step('every property of every object')

summary = host.summary
assert summary.host == host and summary.config.name == host.name and summary.runtime.connectionState == 'connected'
assert summary.hardware.memorySize > 2 ** 29 and summary.hardware.numCpuThreads >= 1
assert host.hardware.cpuInfo.numCpuCores >= 1 and host.config.product.productLineId == 'embeddedEsx'
assert compute.summary.numHosts >= 1 and compute.summary.totalMemory > 0 and compute.environmentBrowser is not None
assert datastore.summary.accessible and datastore.summary.capacity > datastore.summary.freeSpace > 0
assert [mount.key for mount in datastore.host if mount.key == host] == [host]
assert host in datacenter.network[0].host or any(host in network.host for network in datacenter.network)
step('host, compute resource and datastore')

index = content.searchIndex
path = '/'.join(seen[compute])
assert index.FindByInventoryPath(path) == compute, path
assert index.FindByInventoryPath('/%s/' % path) == compute, 'with slashes around it'
assert index.FindByInventoryPath('%s/%s' % (path, host.name)) == host
assert index.FindByInventoryPath('/'.join(seen[datastore])) == datastore
assert index.FindByInventoryPath(datacenter.name + '/nothing') is None
assert index.FindChild(datacenter.hostFolder, compute.name) == compute
assert index.FindByUuid(None, host.hardware.systemInfo.uuid, False) == host
step('found by path, name and UUID')

assert compute.environmentBrowser.QueryConfigTarget(host).datastore[0].datastore.name
assert any(option.key.startswith('vmx-') for option in compute.environmentBrowser.QueryConfigOptionDescriptor())
step('what machines can be made of there')

Disconnect(service)
refused(vim.fault.NotAuthenticated, lambda: host.name)
step('signed out')
