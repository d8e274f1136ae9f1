"""Reads with a client made from the server's own WSDL, as fence_vmware_soap does."""
import os
import ssl
import sys

import suds
from suds.client import Client

ssl._create_default_https_context = ssl._create_unverified_context
base = 'https://%s:%s/sdk' % (os.environ['SERVER_HOST'], os.environ['SERVER_PORT'])
client = Client(base + '/vimService.wsdl', location=base, cache=None)
call = client.service


def step(name):
    print(name, flush=True)


def reference(kind, value):
    made = client.factory.create('ns0:ManagedObjectReference')
    made._type = kind
    made.value = value
    return made


step('read the WSDL')
content = call.RetrieveServiceContent(reference('ServiceInstance', 'ServiceInstance'))
assert content.about.apiType == 'HostAgent', content.about
try:
    call.Login(content.sessionManager, 'root', 'not the password')
    sys.exit('a wrong password was taken')
except suds.WebFault as error:
    assert hasattr(error.fault.detail, 'InvalidLoginFault'), error.fault
step('wrong password: InvalidLogin')
session = call.Login(content.sessionManager, os.environ['SERVER_USER'], os.environ['SERVER_PASSWORD'])
assert session.userName == 'root', session
step('signed in')


def filter_of(kind, paths, start, select=()):
    spec = client.factory.create('ns0:PropertyFilterSpec')
    wanted = client.factory.create('ns0:PropertySpec')
    wanted.type = kind
    wanted.pathSet = list(paths)
    begin = client.factory.create('ns0:ObjectSpec')
    begin.obj = start
    begin.skip = bool(select)
    begin.selectSet = list(select)
    spec.propSet = [wanted]
    spec.objectSet = [begin]
    return spec


view = call.CreateContainerView(content.viewManager, content.rootFolder, ['VirtualMachine'], True)
traversal = client.factory.create('ns0:TraversalSpec')
traversal.name = 'view'
traversal.type = 'ContainerView'
traversal.path = 'view'
traversal.skip = False
options = client.factory.create('ns0:RetrieveOptions')
answer = call.RetrievePropertiesEx(
    content.propertyCollector,
    [filter_of('VirtualMachine', ['name', 'runtime.powerState', 'config'], view, [traversal])], options)
machines = {}
for entry in answer.objects:
    values = {value.name: value.val for value in entry.propSet}
    machines[str(values['name'])] = values
assert list(machines) == ['guest'], machines
config = machines['guest']['config']
assert str(machines['guest']['runtime.powerState']) == 'poweredOff'
assert int(config.hardware.memoryMB) == 192 and config.files.vmPathName == '[datastore1] guest/guest.vmx'
kinds = [device.__class__.__name__ for device in config.hardware.device]
assert 'VirtualDisk' in kinds and 'VirtualE1000' in kinds and 'ParaVirtualSCSIController' in kinds, kinds
step('read a machine through a view')

answer = call.RetrievePropertiesEx(
    content.propertyCollector, [filter_of('Folder', ['name', 'childEntity'], content.rootFolder)], options)
values = {value.name: value.val for value in answer.objects[0].propSet}
children = values['childEntity'].ManagedObjectReference
assert [child.value for child in children] == ['ha-datacenter'], children
call.Logout(content.sessionManager)
try:
    call.CreateContainerView(content.viewManager, content.rootFolder, ['VirtualMachine'], True)
    sys.exit('a session answers after its end')
except suds.WebFault as error:
    assert hasattr(error.fault.detail, 'NotAuthenticatedFault'), error.fault
step('signed out')
