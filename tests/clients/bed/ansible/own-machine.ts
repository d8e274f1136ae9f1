import type { AnsibleContext } from '../ansible-play.ts';
import { guestMachine } from '../bed.ts';

// What the cases of Ansible share: the machine that they make, and looks at it.
export const expect = (condition: unknown, what: string) => {
  if (!condition) throw new Error(what);
};
export const named = ({ face }: AnsibleContext) => `ansible-${face.endpoint}`;
export const here = ({ face }: AnsibleContext) => ({ datacenter: face.datacenter });
export const machine = (context: AnsibleContext) => ({ ...here(context), name: named(context) });
export const inGuest = (context: AnsibleContext) => ({
  ...here(context),
  vm_id: guestMachine,
  vm_username: 'root',
  vm_password: 'guest-secret-1',
});
export const seen = (context: AnsibleContext, state: string) => context.bed.isSeen(named(context), state, 'host');
export const engineOf = (context: AnsibleContext) => context.bed.engine(named(context));
export const noEngine = async (context: AnsibleContext) => {
  await seen(context, 'poweredOff');
  expect((await context.bed.engineOf(named(context))) === undefined, 'no engine');
};
export const text = (value: unknown) => JSON.stringify(value);
export const mac = ({ face }: AnsibleContext, last: number) =>
  `00:50:56:1${face.endpoint === 'host' ? 1 : 2}:34:${last}`;
