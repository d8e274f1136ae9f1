"""What reporting scripts read (getallvms.py, vminfo_quick.py, list_datastore_info.py …), held against what is there."""
import os
import re

from pyVmomi import vim, vmodl

from cases import at_center, at_last, case, datastore_folder, refused
from engine import engines, until
from face import (content, datacenter, datastore, engine_of, every, guest, guest_ready, host, inside, service)
from host import sign_in


@case('a wrong password', quick=True)
def wrong_password():
    refused(vim.fault.InvalidLogin, lambda: sign_in('not the password'))


@case('about')
def about():
    assert content.about.apiType == ('VirtualCenter' if at_center else 'HostAgent'), content.about.apiType
    assert content.sessionManager.currentSession.userName.lower().endswith('administrator' if at_center else 'root')


@case('power states of all machines', quick=True)
def all_machines():
    def look():
        running = {engine.uuid for engine in engines()}
        for machine in every(vim.VirtualMachine):
            try:
                state, uuid = machine.runtime.powerState, machine.config.uuid
            except vmodl.fault.ManagedObjectNotFound:
                continue
            assert (state == 'poweredOn') == (uuid in running), (uuid, state)
    at_last(look)


@case('properties by the collector')
def collected():
    guest_ready()
    query = vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    way = query.TraversalSpec(name='view', type=vim.view.ContainerView, path='view', skip=False)
    paths = ['name', 'config.uuid', 'config.hardware.memoryMB', 'config.hardware.numCPU', 'runtime.powerState']
    found = content.propertyCollector.RetrieveContents([query.FilterSpec(
        objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[way])],
        propSet=[query.PropertySpec(type=vim.VirtualMachine, pathSet=paths)])])
    view.Destroy()
    rows = {row['name']: row for row in ({p.name: p.val for p in each.propSet} for each in found)}
    engine = engine_of(guest)
    row = rows['bed-guest']
    assert row['config.uuid'] == engine.uuid
    assert abs(row['config.hardware.memoryMB'] * 1024 - engine.memory_kib) < 256, engine.memory_kib
    assert row['config.hardware.numCPU'] == len(engine.monitor('query-cpus-fast'))


@case('found by UUID, path, file and DNS name')
def found():
    guest_ready()
    index = content.searchIndex
    assert index.FindByUuid(None, engine_of(guest).uuid, True) == guest
    assert index.FindByInventoryPath('%s/vm/bed-guest' % datacenter.name) == guest
    assert index.FindByDatastorePath(datacenter, '[datastore1] bed-guest/bed-guest.vmx') == guest
    with inside() as shell:
        name = shell.run('hostname')
    until(lambda: index.FindByDnsName(None, name, True) == guest, 'found by %s' % name, 300)


@case('capacity of a datastore')
def capacity():
    datastore.RefreshDatastore()
    there = os.statvfs(datastore_folder)
    assert abs(datastore.summary.capacity - there.f_blocks * there.f_frsize) < 2 ** 20, datastore.summary
    assert abs(datastore.summary.freeSpace - there.f_bavail * there.f_frsize) < 2 ** 31, datastore.summary


@case('hardware of the host')
def hardware():
    with open('/proc/meminfo') as file:
        kib = int(re.search(r'MemTotal: +(\d+)', file.read()).group(1))
    assert abs(host.hardware.memorySize - kib * 1024) < 2 ** 20, host.hardware.memorySize
    assert host.hardware.cpuInfo.numCpuThreads == os.cpu_count(), host.hardware.cpuInfo


@case('what the guest tells')
def guest_tells():
    guest_ready()
    until(lambda: guest.guest.hostName == 'test-guest', 'the name of the guest', 300)
    assert guest.summary.guest.toolsRunningStatus == 'guestToolsRunning'
    with inside() as shell:
        assert shell.run('hostname') == guest.guest.hostName


@case('counters of a machine')
def counters():
    guest_ready()
    manager = content.perfManager
    ids = {'%s.%s.%s' % (c.groupInfo.key, c.nameInfo.key, c.rollupType): c.key for c in manager.perfCounter}
    wanted = vim.PerformanceManager.MetricId(counterId=ids['mem.consumed.average'], instance='')
    spec = vim.PerformanceManager.QuerySpec(entity=guest, metricId=[wanted], intervalId=20, maxSample=1)
    found = until(lambda: [s for each in manager.QueryPerf([spec]) for s in each.value], 'a sample', 120)
    consumed = found[0].value[-1]
    with open('/proc/%d/status' % engine_of(guest).pid) as file:
        resident = int(re.search(r'VmRSS:\s+(\d+)', file.read()).group(1))
    assert 0 < consumed <= max(resident, 192 * 1024) * 1.2, (consumed, resident)


@case('sessions')
def sessions():
    before = {each.key for each in content.sessionManager.sessionList}
    other = sign_in()
    keys = {each.key for each in content.sessionManager.sessionList} - before
    own = other.RetrieveContent().sessionManager.currentSession.key
    assert own in keys, keys
    other.RetrieveContent().sessionManager.Logout()
    assert own not in {each.key for each in content.sessionManager.sessionList}


@case('the whole tree with all properties')
def whole_tree():
    guest_ready()
    query = vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.ManagedEntity], True)
    way = query.TraversalSpec(name='view', type=vim.view.ContainerView, path='view', skip=False)
    kinds = [vim.VirtualMachine, vim.HostSystem, vim.Datastore, vim.Folder, vim.Datacenter, vim.ResourcePool]
    found = content.propertyCollector.RetrieveContents([query.FilterSpec(
        objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[way])],
        propSet=[query.PropertySpec(type=kind, all=True) for kind in kinds])])
    view.Destroy()
    assert {type(each.obj) for each in found} >= set(kinds), {type(each.obj) for each in found}
    for each in found:
        assert not each.missingSet, (each.obj, each.missingSet)
    machines = {each.obj: {p.name: p.val for p in each.propSet} for each in found if isinstance(each.obj, vim.VirtualMachine)}
    assert machines[guest]['config'].uuid == engine_of(guest).uuid
