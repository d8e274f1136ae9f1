import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AutoStartPowerInfo, data, type VimFault } from '@hypostyle/vim';
import {
  type AutoStartSettings,
  changedAutoStart,
  initialAutoStart,
  shownAutoStart,
  startTurns,
  stopTurns,
} from './auto-start-settings.ts';

const isThere = (machine: string) => machine !== 'gone';
const invalid = (property: string) => (error: unknown) =>
  (error as VimFault).type === 'InvalidArgument' && JSON.stringify(error).includes(property);

function info(machine: string, members: Partial<AutoStartPowerInfo> = {}): AutoStartPowerInfo {
  return data('AutoStartPowerInfo', {
    key: { type: 'VirtualMachine', value: machine },
    startOrder: -1,
    startDelay: -1,
    waitForHeartbeat: 'systemDefault',
    startAction: 'powerOn',
    stopDelay: -1,
    stopAction: 'systemDefault',
    ...members,
  });
}

function settingsOf(powerInfo: AutoStartPowerInfo[], defaults = {}, before = initialAutoStart): AutoStartSettings {
  const spec = data('HostAutoStartManagerConfig', {
    defaults: data('AutoStartDefaults', { enabled: true, ...defaults }),
    powerInfo,
  });
  return changedAutoStart(before, spec, isThere);
}

test('machines start in their order, those without one last, with delays of their own or the default', () => {
  const settings = settingsOf(
    [
      info('any'),
      info('third', { startOrder: 3, startDelay: 5, waitForHeartbeat: 'yes' }),
      info('first', { startOrder: 1, startDelay: 0 }),
      info('not', { startAction: 'none', stopAction: 'powerOff' }),
    ],
    { startDelay: 7, waitForHeartbeat: true },
  );
  assert.deepEqual(startTurns(settings), [
    { machine: 'first', action: 'powerOn', delay: 0, endsByHeartbeat: true },
    { machine: 'third', action: 'powerOn', delay: 5, endsByHeartbeat: true },
    { machine: 'any', action: 'powerOn', delay: 7, endsByHeartbeat: true },
  ]);
});

test('they stop the other way round, each as it says or as the default has it', () => {
  const settings = settingsOf(
    [
      info('first', { startOrder: 1, stopAction: 'suspend' }),
      info('kept', { startOrder: 2, stopAction: 'none' }),
      info('last', { startOrder: 3, stopDelay: 9 }),
      info('alone', { startAction: 'none', stopAction: 'PowerOff' }),
    ],
    { stopAction: 'guestShutdown', stopDelay: 4 },
  );
  assert.deepEqual(
    stopTurns(settings).map(({ machine, action, delay }) => [machine, action, delay]),
    [
      ['alone', 'powerOff', 4],
      ['last', 'guestShutdown', 9],
      ['first', 'suspend', 4],
    ],
  );
});

test('nothing starts or stops where that is switched off', () => {
  const settings = settingsOf([info('web')], { enabled: false });
  assert.deepEqual([startTurns(settings), stopTurns(settings)], [[], []]);
});

test('a change keeps what it does not name; who takes no part has no entry, and who is gone is not shown', () => {
  const before = settingsOf([info('web', { startOrder: 2 }), info('db')], { startDelay: 1 });
  const after = changedAutoStart(
    before,
    data('HostAutoStartManagerConfig', { powerInfo: [info('db', { startAction: 'none', stopAction: 'none' })] }),
    isThere,
  );
  assert.deepEqual(
    after.machines.map(({ machine, startOrder }) => [machine, startOrder]),
    [['web', 2]],
  );
  assert.deepEqual(after.defaults, { ...initialAutoStart.defaults, enabled: true, startDelay: 1 });
  assert.deepEqual(shownAutoStart(after, () => false).powerInfo, []);
  assert.deepEqual(shownAutoStart(after, () => true).powerInfo, [
    {
      ...info('web', { startOrder: 2 }),
      key: { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: 'web' },
    },
  ]);
});

test('what makes no sense is refused, and nothing of it is kept', () => {
  assert.throws(() => settingsOf([info('gone')]), invalid('powerInfo.key'));
  assert.throws(() => settingsOf([info('web', { startOrder: 0 })]), invalid('startOrder'));
  assert.throws(() => settingsOf([info('web', { startDelay: -2 })]), invalid('startDelay'));
  assert.throws(() => settingsOf([info('web', { startAction: 'suspend' })]), invalid('startAction'));
  assert.throws(() => settingsOf([info('web', { stopAction: 'explode' })]), invalid('stopAction'));
  assert.throws(() => settingsOf([], { stopDelay: -1 }), invalid('defaults.stopDelay'));
});
