"""The JSON encoder that Debian's community.vmware wants of pyVmomi, and that Debian's pyVmomi 6.7.1 has not yet.

Python loads it by its name from PYTHONPATH. It shows objects that a module has read, and changes nothing that is sent.
"""
import base64
import datetime
import json

from pyVmomi import VmomiSupport


class VmomiJSONEncoder(json.JSONEncoder):
    def __init__(self, *args, strip_dynamic=False, explode=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.hidden = ('dynamicType', 'dynamicProperty') if strip_dynamic else ()

    def default(self, o):
        if isinstance(o, VmomiSupport.ManagedObject):
            return str(o).strip("'")
        if isinstance(o, VmomiSupport.DataObject):
            names = [info.name for info in o._GetPropertyList() if info.name not in self.hidden]
            return {'_vimtype': type(o).__name__, **{name: getattr(o, name) for name in names}}
        if isinstance(o, datetime.datetime):
            return o.isoformat()
        if isinstance(o, bytes):
            return base64.b64encode(o).decode()
        return o.__name__ if isinstance(o, type) else super().default(o)


VmomiSupport.VmomiJSONEncoder = VmomiJSONEncoder
