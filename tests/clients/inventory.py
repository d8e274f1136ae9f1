"""The server that scripts of pyVmomi work on, and what is in its inventory."""
from host import sign_in

service = sign_in()
content = service.RetrieveContent()


def every(kind):
    """Objects of a kind, wherever they lie."""
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    try:
        return list(view.view)
    finally:
        view.Destroy()


def named(kind, name):
    found = [each for each in every(kind) if each.name == name]
    assert len(found) == 1, '%d of %s are named %s' % (len(found), kind.__name__, name)
    return found[0]
