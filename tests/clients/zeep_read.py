"""Reads with a strict client made from the server's own WSDL: every answer is checked against the XML Schema."""
import os
import sys

import requests
import urllib3
import zeep

urllib3.disable_warnings()
base = 'https://%s:%s/sdk' % (os.environ['SERVER_HOST'], os.environ['SERVER_PORT'])
http = requests.Session()
http.verify = False
http.trust_env = False
client = zeep.Client(base + '/vimService.wsdl', transport=zeep.Transport(session=http))
# What the WSDL itself names as the address, as a client that is given nothing else has to take it.
address = client.wsdl.services['VimService'].ports['VimPort'].binding_options['address']
assert address == base or address == base + '/', address
call = client.service


def step(name):
    print(name, flush=True)


def make(_kind, *values, **members):
    return client.get_type('{urn:vim25}' + _kind)(*values, **members)


step('read the WSDL')
content = call.RetrieveServiceContent(make('ManagedObjectReference', 'ServiceInstance', type='ServiceInstance'))
try:
    call.Login(content.sessionManager, 'root', 'not the password')
    sys.exit('a wrong password was taken')
except zeep.exceptions.Fault as error:
    names = [child.tag.split('}')[1] for child in error.detail]
    assert names == ['InvalidLoginFault'], names
step('wrong password: InvalidLogin')
session = call.Login(content.sessionManager, os.environ['SERVER_USER'], os.environ['SERVER_PASSWORD'])
assert session.userName == 'root', session
step('signed in')

view = call.CreateContainerView(content.viewManager, content.rootFolder, ['ManagedEntity'], True)
spec = make(
    'PropertyFilterSpec',
    propSet=[make('PropertySpec', type='ManagedEntity', pathSet=['name']),
             make('PropertySpec', type='VirtualMachine', all=True),
             make('PropertySpec', type='HostSystem', all=True),
             make('PropertySpec', type='Datastore', all=True)],
    objectSet=[make('ObjectSpec', obj=view, skip=True, selectSet=[
        make('TraversalSpec', name='view', type='ContainerView', path='view', skip=False)])])
answer = call.RetrievePropertiesEx(content.propertyCollector, [spec], make('RetrieveOptions'))
found = {entry.obj.type: {value.name: value.val for value in entry.propSet} for entry in answer.objects}
for kind in ['Datacenter', 'Folder', 'HostSystem', 'Datastore', 'VirtualMachine', 'ResourcePool']:
    assert kind in found, list(found)
machine = found['VirtualMachine']
assert machine['name'] == 'guest' and machine['config'].hardware.memoryMB == 192, machine['name']
assert machine['summary'].runtime.powerState == 'poweredOff'
kinds = [type(device).__name__ for device in machine['config'].hardware.device]
assert 'VirtualDisk' in kinds and 'VirtualE1000' in kinds and 'ParaVirtualSCSIController' in kinds, kinds
assert found['HostSystem']['hardware'].memorySize > 2 ** 29
step('read every property of the inventory')
call.Logout(content.sessionManager)
step('signed out')
