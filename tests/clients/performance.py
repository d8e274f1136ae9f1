"""What pyVmomi scripts that have a booted guest ask of the performance counters: what it burns and writes is seen."""
import datetime

from pyVmomi import vim, vmodl

from host import step, until


def check(service, machine, guest):
    """Uses one processor and writes to a disk of the guest, which must run a shell."""
    content = service.RetrieveContent()
    manager = content.perfManager
    counters = {'%s.%s.%s' % (each.groupInfo.key, each.nameInfo.key, each.rollupType): each
                for each in manager.perfCounter}
    usage, written = counters['cpu.usage.average'], counters['virtualDisk.write.average']
    assert (usage.statsType, usage.unitInfo.key, usage.level) == ('rate', 'percent', 1), usage
    assert [each.samplingPeriod for each in manager.historicalInterval] == [300, 1800, 7200, 86400]
    assert [each.key for each in manager.QueryPerfCounter(counterId=[usage.key])] == [usage.key]
    summary = manager.QueryPerfProviderSummary(entity=machine)
    assert summary.currentSupported and summary.summarySupported and summary.refreshRate == 20, summary

    def metric(counter, instance=''):
        return vim.PerformanceManager.MetricId(counterId=counter.key, instance=instance)

    def query(entity, metrics, kind='normal', **others):
        [found] = manager.QueryPerf(querySpec=[vim.PerformanceManager.QuerySpec(
            entity=entity, metricId=metrics, intervalId=20, format=kind, **others)])
        return found

    burner = guest.run('(while :; do :; done) >/dev/null 2>&1 & echo $!')
    guest.run('dd if=/dev/zero of=/dev/sda bs=1M seek=40 count=16 conv=notrunc,fsync 2>/dev/null')
    begun = service.CurrentTime()

    def burnt():
        found = query(machine, [metric(usage)])
        values = found.value[0].value if found.value else []
        return [value for info, value in zip(found.sampleInfo, values) if info.timestamp > begun and value > 1500]

    until(burnt, 'a processor that is busy is seen')
    guest.run('kill %s' % burner)
    step('a busy guest is seen')

    found = query(machine, [metric(written, '*')])
    by_instance = {each.id.instance: each.value for each in found.value}
    assert len(by_instance) == 2 and '' in by_instance, by_instance
    for instance, values in by_instance.items():
        kilobytes = sum(max(0, value) * 20 for value in values)
        assert kilobytes > 8 * 1024, (instance, values)
    available = manager.QueryAvailablePerfMetric(entity=machine, intervalId=20)
    assert (usage.key, '') in [(each.counterId, each.instance) for each in available]
    step('what it writes is seen, by disk and together')

    normal = query(machine, [metric(usage)], maxSample=2)
    times = [each.timestamp for each in normal.sampleInfo]
    comma = query(machine, [metric(usage)], 'csv', startTime=times[0] - datetime.timedelta(seconds=1), endTime=times[-1])
    assert comma.value[0].value == ','.join(str(value) for value in normal.value[0].value), (comma, normal)
    assert comma.sampleInfoCSV.count('20,') == len(times), comma.sampleInfoCSV
    step('CSV says the same')

    host = machine.runtime.host
    composite = manager.QueryPerfComposite(querySpec=vim.PerformanceManager.QuerySpec(
        entity=host, metricId=[metric(usage)], intervalId=20))
    assert composite.entity.entity == host
    assert machine in [each.entity for each in composite.childEntity], composite
    memory = query(host, [metric(counters['mem.consumed.average'])])
    assert memory.value[0].value[-1] > 100 * 1024, memory
    try:
        query(machine, [vim.PerformanceManager.MetricId(counterId=9999, instance='')])
        raise SystemExit('a counter that there is not')
    except vmodl.fault.InvalidArgument:
        pass
    step('the host, and what runs on it')
