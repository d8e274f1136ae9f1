"""The cases of suds, a client made from the server's own WSDL."""
import os
import ssl

import suds
from suds.client import Client

from cases import at_last, case, refused, run_cases
from engine import engines

ssl._create_default_https_context = ssl._create_unverified_context
base = 'https://%s:%s/sdk' % (os.environ['SERVER_HOST'], os.environ['SERVER_PORT'])
client = Client(base + '/vimService.wsdl', location=base, cache=None)
call = client.service


def reference(kind, value):
    made = client.factory.create('ns0:ManagedObjectReference')
    made._type = kind
    made.value = value
    return made


content = call.RetrieveServiceContent(reference('ServiceInstance', 'ServiceInstance'))


@case('a wrong password', quick=True)
def wrong_password():
    error = refused(suds.WebFault, lambda: call.Login(content.sessionManager, os.environ['SERVER_USER'], 'wrong'))
    assert hasattr(error.fault.detail, 'InvalidLoginFault'), error.fault
    assert call.Login(content.sessionManager, os.environ['SERVER_USER'], os.environ['SERVER_PASSWORD']).userName


@case('machines through a view', quick=True)
def view():
    made = call.CreateContainerView(content.viewManager, content.rootFolder, ['VirtualMachine'], True)
    way = client.factory.create('ns0:TraversalSpec')
    way.name, way.type, way.path, way.skip = 'view', 'ContainerView', 'view', False
    begin = client.factory.create('ns0:ObjectSpec')
    begin.obj, begin.skip, begin.selectSet = made, True, [way]
    wanted = client.factory.create('ns0:PropertySpec')
    wanted.type, wanted.pathSet = 'VirtualMachine', ['name', 'runtime.powerState', 'config']
    spec = client.factory.create('ns0:PropertyFilterSpec')
    spec.propSet, spec.objectSet = [wanted], [begin]

    def look():
        answer = call.RetrievePropertiesEx(content.propertyCollector, [spec], client.factory.create('ns0:RetrieveOptions'))
        running = {engine.uuid for engine in engines()}
        names = set()
        for each in answer.objects:
            values = {value.name: value.val for value in each.propSet}
            names.add(str(values['name']))
            state = str(values['runtime.powerState'])
            assert (state == 'poweredOn') == (str(values['config'].uuid) in running), values['name']
            assert values['config'].hardware.device, 'devices'
        assert {'bed-guest', 'bed-empty'} <= names, names
    at_last(look)


@case('signed out', quick=True)
def signed_out():
    call.Logout(content.sessionManager)
    error = refused(suds.WebFault, lambda: call.CreateContainerView(
        content.viewManager, content.rootFolder, ['VirtualMachine'], True))
    assert hasattr(error.fault.detail, 'NotAuthenticatedFault'), error.fault


run_cases()
