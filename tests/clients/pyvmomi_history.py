"""History of events and tasks, read with collectors: filters, pages, places."""
import datetime

from pyVmomi import vim, vmodl

from host import sign_in, step, until

service = sign_in()
content = service.RetrieveContent()
events = content.eventManager
folder = content.rootFolder.childEntity[0]
begun = service.CurrentTime()
for number in range(25):
    events.LogUserEvent(entity=folder, msg='message %d' % number)


def spec(**members):
    return vim.event.EventFilterSpec(
        entity=vim.event.EventFilterSpec.ByEntity(entity=folder, recursion='self'),
        time=vim.event.EventFilterSpec.ByTime(beginTime=begun), **members)


def messages(page):
    return [event.message for event in page]


collector = events.CreateCollectorForEvents(filter=spec(eventTypeId=['vim.event.GeneralUserEvent']))
assert messages(collector.latestPage) == ['message %d' % number for number in range(24, 14, -1)]
collector.SetCollectorPageSize(maxCount=5)
assert messages(collector.latestPage) == ['message %d' % number for number in range(24, 19, -1)]
step('the latest page')

collector.RewindCollector()
assert messages(collector.ReadNextEvents(maxCount=10)) == ['message %d' % number for number in range(10)]
assert messages(collector.ReadNextEvents(maxCount=20)) == ['message %d' % number for number in range(10, 25)]
assert messages(collector.ReadNextEvents(maxCount=20)) == []
assert messages(collector.ReadPreviousEvents(maxCount=2)) == ['message 24', 'message 23']
collector.ResetCollector()
assert messages(collector.ReadPreviousEvents(maxCount=3)) == ['message 24', 'message 23', 'message 22']
step('read forth and back')

events.LogUserEvent(entity=folder, msg='one more')
assert messages(collector.latestPage)[0] == 'one more'
collector.DestroyCollector()
try:
    print(collector.latestPage)
    raise SystemExit('a collector that is gone')
except vmodl.fault.ManagedObjectNotFound:
    pass
step('what happens later, until it is destroyed')


def found(**members):
    return messages(events.QueryEvents(spec(**members)))


by_name = vim.event.EventFilterSpec.ByUsername
assert len(found(category=['user'])) == 26
assert found(category=['error']) == []
assert len(found(type=[vim.event.GeneralEvent])) == 26
assert len(found(userName=by_name(systemUser=False, userList=[content.sessionManager.currentSession.userName]))) == 26
assert found(userName=by_name(systemUser=False, userList=['nobody'])) == []
assert len(found(maxCount=4)) == 4
later = vim.event.EventFilterSpec.ByTime(beginTime=service.CurrentTime() + datetime.timedelta(hours=1))
assert not events.QueryEvents(vim.event.EventFilterSpec(time=later))
above = vim.event.EventFilterSpec.ByEntity(entity=content.rootFolder, recursion='children')
assert len(messages(events.QueryEvents(vim.event.EventFilterSpec(
    entity=above, time=vim.event.EventFilterSpec.ByTime(beginTime=begun), category=['user'])))) == 26
arguments = events.RetrieveArgumentDescription(eventTypeId='vim.event.GeneralUserEvent')
assert 'message' in [each.name for each in arguments], arguments
step('filters')

tasks = content.taskManager
description = tasks.description.methodInfo[0].key
created = tasks.CreateTask(obj=folder, taskTypeId=description, cancelable=False)
created.task.SetTaskState(state='running')
created.task.UpdateProgress(percentDone=40)
assert created.task.info.progress == 40 and created.task in tasks.recentTask
created.task.SetTaskState(state='success')
history = tasks.CreateCollectorForTasks(filter=vim.TaskFilterSpec(
    entity=vim.TaskFilterSpec.ByEntity(entity=folder, recursion='self'), state=['success']))
history.RewindCollector()
keys = []
while True:
    page = history.ReadNextTasks(maxCount=100)
    if not page:
        break
    keys += [info.key for info in page]
assert created.key in keys
assert history.latestPage[0].key == created.key
assert history.ReadPreviousTasks(maxCount=1)[0].key == created.key
history.DestroyCollector()
step('tasks')

manager = content.perfManager
usage = next(each for each in manager.perfCounter
             if (each.groupInfo.key, each.nameInfo.key, each.rollupType) == ('cpu', 'usage', 'average'))
view = content.viewManager.CreateContainerView(content.rootFolder, [vim.HostSystem], True)
host = view.view[0]
view.Destroy()


def sampled():
    [metric] = manager.QueryPerf(querySpec=[vim.PerformanceManager.QuerySpec(
        entity=host, intervalId=20, maxSample=1,
        metricId=[vim.PerformanceManager.MetricId(counterId=usage.key, instance='*')])])
    return metric.value and metric


metric = until(sampled, 'the host is measured', 90)
assert len(metric.sampleInfo) == 1 and metric.sampleInfo[0].interval == 20, metric
assert sorted(each.id.instance for each in metric.value)[0] == ''
assert len(metric.value) == 1 + host.summary.hardware.numCpuThreads, metric
assert all(0 <= each.value[0] <= 10000 for each in metric.value), metric
step('what a host measures')
