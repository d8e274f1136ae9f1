import { data, type GuestAuthentication, type ManagedObjectReference } from '@hypostyle/vim';
import { type TObject, type TSchema, Type } from '@sinclair/typebox';
import { type CenterView, read } from '../../calls/center-view.ts';
import { AutomationError, invalidArgument } from '../../errors.ts';
import { Machine } from '../../machine/machine-reader.ts';
import { closed, defined, oneOf } from '../../schemas/common.ts';
import type { Answer, Operation, OperationCall, PathParameters } from '../operation.ts';

export const text = (most: number) => Type.String({ maxLength: most });
export const guestPath = text(4_096);
export const long = (minimum: number) => Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER });
export const time = Type.String({ format: 'date-time', maxLength: 64 });

const credentials = closed({
  interactive_session: Type.Boolean(),
  type: oneOf('USERNAME_PASSWORD', 'SAML_BEARER_TOKEN'),
  user_name: Type.Optional(text(256)),
  password: Type.Optional(text(1_024)),
  saml_token: Type.Optional(text(65_536)),
});
type Credentials = (typeof credentials)['static'];

/** One guest, and who acts in it. */
export class Guest {
  readonly vm: ManagedObjectReference<'VirtualMachine'>;
  readonly auth: GuestAuthentication;
  readonly #view: CenterView;

  constructor(view: CenterView, vm: string, given: Credentials) {
    this.#view = view;
    this.vm = new Machine(view, vm).object.ref as ManagedObjectReference<'VirtualMachine'>;
    this.auth = authentication(given);
  }

  get on(): { readonly vm: ManagedObjectReference<'VirtualMachine'>; readonly auth: GuestAuthentication } {
    return { vm: this.vm, auth: this.auth };
  }

  get files(): ManagedObjectReference<'GuestFileManager'> {
    return this.#part('fileManager') as ManagedObjectReference<'GuestFileManager'>;
  }

  get processes(): ManagedObjectReference<'GuestProcessManager'> {
    return this.#part('processManager') as ManagedObjectReference<'GuestProcessManager'>;
  }

  #part(name: 'fileManager' | 'processManager'): ManagedObjectReference {
    const [manager] = this.#view.registry.all('GuestOperationsManager');
    const ref = read('GuestOperationsManager', manager && this.#view.registry.get(manager.ref), name);
    if (ref === undefined) throw new AutomationError('unsupported', 'Nothing is done in guests here.');
    return ref;
  }
}

function authentication({ type, interactive_session, user_name, password, saml_token }: Credentials) {
  if (type === 'SAML_BEARER_TOKEN') {
    if (saml_token === undefined) throw invalidArgument('A SAML_BEARER_TOKEN needs saml_token.');
    return data(
      'SAMLTokenAuthentication',
      defined({ interactiveSession: interactive_session, token: saml_token, username: user_name }),
    );
  }
  if (user_name === undefined || password === undefined)
    throw invalidArgument('USERNAME_PASSWORD needs user_name and password.');
  return data('NamePasswordAuthentication', { interactiveSession: interactive_session, username: user_name, password });
}

interface GuestOperation<Path extends string, B extends Record<string, TSchema>, A extends TSchema | undefined> {
  /** After `vcenter.vm.guest.`. */
  readonly id: string;
  readonly summary: string;
  /** After `/vcenter/vm/{vm}/guest/`. */
  readonly path: Path;
  readonly action: string;
  /** Beside who acts. */
  readonly body: B;
  readonly answer?: A;
  readonly created?: boolean;
  run(call: {
    readonly view: CenterView;
    readonly guest: Guest;
    readonly path: PathParameters<Path>;
    readonly body: TObject<B>['static'];
  }): Promise<Answer<A>> | Answer<A>;
}

/** An operation in a guest: its body says who acts there, and both styles spell it alike. */
export function inGuest<
  const Path extends string,
  B extends Record<string, TSchema>,
  A extends TSchema | undefined = undefined,
>({ id, path, body, run, ...rest }: GuestOperation<Path, B, A>): Operation {
  return {
    ...(rest as Pick<Operation, 'summary' | 'action' | 'answer' | 'created'>),
    id: `vcenter.vm.guest.${id}`,
    method: 'POST',
    path: `/vcenter/vm/{vm}/guest/${path}`,
    rest: { wrap: null },
    body: closed({ credentials, ...body }),
    run({ view, path: names, body: { credentials: given, ...said } }: GuestCall) {
      const guest = new Guest(view, names.vm, given);
      return run({ view, guest, path: names as PathParameters<Path>, body: said as TObject<B>['static'] });
    },
  };
}

type GuestCall = OperationCall<{ readonly vm: string }, unknown, { readonly credentials: Credentials }>;
