"""The cases of zeep, a strict client made from the server's own WSDL: answers are checked against the XML Schema."""
import os
import time

import requests
import urllib3
import zeep

from cases import at_last, case, endpoint, on_datastore, refused, run_cases
from engine import engines

urllib3.disable_warnings()
base = 'https://%s:%s/sdk' % (os.environ['SERVER_HOST'], os.environ['SERVER_PORT'])
http = requests.Session()
http.verify = False
http.trust_env = False
client = zeep.Client(base + '/vimService.wsdl', transport=zeep.Transport(session=http))
call = client.service
own = 'zeep-%s' % endpoint


def make(_kind, *values, **members):
    return client.get_type('{urn:vim25}' + _kind)(*values, **members)


content = call.RetrieveServiceContent(make('ManagedObjectReference', 'ServiceInstance', type='ServiceInstance'))


def fault_of(action):
    """Names of the elements in the detail of a fault."""
    return [child.tag.split('}')[1] for child in refused(zeep.exceptions.Fault, action).detail]


def read(kind, *paths):
    """Properties of every object of a kind: pairs of the reference and a dictionary."""
    view = call.CreateContainerView(content.viewManager, content.rootFolder, [kind], True)
    spec = make('PropertyFilterSpec',
                propSet=[make('PropertySpec', type=kind, pathSet=list(paths)) if paths
                         else make('PropertySpec', type=kind, all=True)],
                objectSet=[make('ObjectSpec', obj=view, skip=True, selectSet=[
                    make('TraversalSpec', name='view', type='ContainerView', path='view', skip=False)])])
    answer = call.RetrievePropertiesEx(content.propertyCollector, [spec], make('RetrieveOptions'))
    call.DestroyView(view)
    return [(each.obj, {value.name: value.val for value in each.propSet}) for each in (answer.objects if answer else [])]


def one(kind, name):
    return next(ref for ref, values in read(kind, 'name') if values['name'] == name)


def wait(task):
    spec = make('PropertyFilterSpec', propSet=[make('PropertySpec', type='Task', pathSet=['info'])],
                objectSet=[make('ObjectSpec', obj=task)])
    while True:
        [found] = call.RetrievePropertiesEx(content.propertyCollector, [spec], make('RetrieveOptions')).objects
        info = found.propSet[0].val
        if info.state == 'success':
            return info.result
        if info.state == 'error':
            raise AssertionError(info.error.localizedMessage or type(info.error.fault).__name__)
        time.sleep(0.1)


def create(name):
    spec = make('VirtualMachineConfigSpec', name=name, guestId='otherLinux64Guest', numCPUs=1, memoryMB=64,
                files=make('VirtualMachineFileInfo', vmPathName='[datastore1]'))
    return wait(call.CreateVM_Task(one('Folder', 'vm'), spec, one('ResourcePool', 'Resources')))


@case('a wrong password', quick=True)
def wrong_password():
    names = fault_of(lambda: call.Login(content.sessionManager, os.environ['SERVER_USER'], 'not the password'))
    assert names == ['InvalidLoginFault'], names
    session = call.Login(content.sessionManager, os.environ['SERVER_USER'], os.environ['SERVER_PASSWORD'])
    assert session.userName, session


@case('the address that the WSDL names')
def own_address():
    told = client.wsdl.services['VimService'].ports['VimPort'].binding_options['address']
    assert told.rstrip('/') == base.replace(':443/', '/'), told


@case('every property of the inventory', quick=True)
def everything():
    def look():
        running = {engine.uuid for engine in engines()}
        machines = [values for _, values in read('VirtualMachine')]
        assert {'bed-guest', 'bed-empty'} <= {values['name'] for values in machines}
        for values in machines:
            state = values['summary'].runtime.powerState
            assert (state == 'poweredOn') == (values['config'].uuid in running), values['name']
            if values['name'] == 'bed-guest':
                kinds = [type(device).__name__ for device in values['config'].hardware.device]
                assert {'VirtualDisk', 'VirtualVmxnet3', 'VirtualIDEController'} <= set(kinds), kinds
    at_last(look)
    for kind in ['HostSystem', 'Datastore', 'Folder', 'Datacenter', 'ResourcePool', 'Network']:
        assert read(kind), kind


@case('a machine made, driven and destroyed', quick=True)
def life():
    name = '%s-life' % own
    machine = create(name)
    uuid = next(values['config.uuid'] for _, values in read('VirtualMachine', 'name', 'config.uuid')
                if values['name'] == name)
    wait(call.PowerOnVM_Task(machine))
    assert uuid in {engine.uuid for engine in engines()}
    wait(call.PowerOffVM_Task(machine))
    assert uuid not in {engine.uuid for engine in engines()}
    wait(call.Destroy_Task(machine))
    assert not os.path.exists(on_datastore(name))


@case('reconfigured')
def changed():
    name = '%s-changed' % own
    machine = create(name)
    try:
        wait(call.ReconfigVM_Task(machine, make('VirtualMachineConfigSpec', annotation='by zeep', memoryMB=96)))
        with open(on_datastore(name, name + '.vmx')) as file:
            text = file.read()
        assert 'annotation = "by zeep"' in text and 'memSize = "96"' in text, text
    finally:
        wait(call.Destroy_Task(machine))


@case('signed out', quick=True)
def signed_out():
    call.Logout(content.sessionManager)
    names = fault_of(lambda: call.CreateContainerView(content.viewManager, content.rootFolder, ['VirtualMachine'], True))
    assert names == ['NotAuthenticatedFault'], names


run_cases()
