import { Type } from '@sinclair/typebox';
import { AutomationError } from '../errors.ts';
import { Machine } from '../machine/machine-reader.ts';
import { closed, oneOf } from '../schemas/common.ts';
import { type Operation, operation } from './operation.ts';

const types = { WEBMKS: 'webmks', VMRC: 'mks' } as const;

/** Consoles of machines. */
export const consoleOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.vm.console.tickets.create',
    summary: 'An address at which the screen of a machine is shown, once.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/console/tickets',
    rest: {},
    created: true,
    body: closed({ type: oneOf('VMRC', 'WEBMKS') }),
    answer: Type.Object({ ticket: Type.String() }),
    async run({ view, path, body }) {
      const { ref } = new Machine(view, path.vm).object;
      const { url } = await view.invoke('VirtualMachine', ref, 'AcquireTicket', { ticketType: types[body.type] });
      if (url === undefined) throw new AutomationError('unsupported', 'There is no address for such a console.');
      return { ticket: url };
    },
  }),
];
