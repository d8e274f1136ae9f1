"""What the pyVmomi scripts for a center share: the host that they work on, and what lies around it."""
import os

from pyVmomi import vim, vmodl

from host import Guest, engines, only_engine, step, until, wait  # noqa: F401
from inventory import content, every, named, service  # noqa: F401

# The host that the script is for, as the center names it and its datastore. SERVER_HOME and SERVER_DATASTORE are its.
host_name = os.environ['TARGET_HOST']
datastore_name = os.environ['TARGET_DATASTORE']


def refused(kind, action):
    """The fault of an action; that there is none, or another, is an error."""
    try:
        result = action()
        if isinstance(result, vim.Task):
            wait(service, result)
    except kind as fault:
        return fault
    raise AssertionError('no %s' % kind.__name__)


def properties(kind, paths, objects=None):
    """Properties of many objects in one call: a dictionary for each object; all properties where `paths` is None."""
    collector = vmodl.query.PropertyCollector
    wanted = collector.PropertySpec(type=kind, all=paths is None, pathSet=paths or [])
    if objects is None:
        view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
        way = collector.TraversalSpec(name='view', type=vim.view.ContainerView, path='view', skip=False)
        starts = [collector.ObjectSpec(obj=view, skip=True, selectSet=[way])]
    else:
        starts = [collector.ObjectSpec(obj=each) for each in objects]
    result = content.propertyCollector.RetrievePropertiesEx(
        [collector.FilterSpec(objectSet=starts, propSet=[wanted])], collector.RetrieveOptions())
    found = list(result.objects) if result else []
    while result and result.token:
        result = content.propertyCollector.ContinueRetrievePropertiesEx(result.token)
        found += result.objects
    for each in found:
        assert not each.missingSet, (each.obj, each.missingSet)
    return {each.obj: {value.name: value.val for value in each.propSet} for each in found}


host = named(vim.HostSystem, host_name)
compute = host.parent
pool = compute.resourcePool
datastore = next(each for each in host.datastore if each.name == datastore_name)
datacenter = next(each for each in every(vim.Datacenter) if datastore in each.datastore)
