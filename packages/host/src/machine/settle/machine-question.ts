import { data, fault, type VimFault, type VirtualMachineQuestionInfo } from '@hypostyle/vim';

/** A question that a machine stands still for, until somebody answers it. */
export interface MachineQuestion {
  readonly id: string;
  /** Which question it is, for programs. */
  readonly about: 'hypostyle.disk.damaged' | 'hypostyle.disk.full';
  readonly text: string;
  readonly choices: readonly { readonly key: string; readonly label: string; readonly summary: string }[];
}

export const answers = { retry: '0', powerOff: '1' } as const;

/** What is asked when a disk cannot be read, or is not what it should be. */
export function damageQuestion(id: string, text: string): MachineQuestion {
  return {
    id,
    about: 'hypostyle.disk.damaged',
    text,
    choices: [
      { key: answers.retry, label: 'Retry', summary: 'Check the disk again, and go on' },
      { key: answers.powerOff, label: 'Power off', summary: 'Power off the machine' },
    ],
  };
}

/** What is asked when a guest writes, and its datastore is full. */
export function spaceQuestion(id: string, text: string): MachineQuestion {
  return {
    id,
    about: 'hypostyle.disk.full',
    text,
    choices: [
      { key: answers.retry, label: 'Retry', summary: 'Go on: there is room' },
      { key: answers.powerOff, label: 'Power off', summary: 'Power off the machine' },
    ],
  };
}

/** `VirtualMachine.runtime.question`. */
export function questionInfo({ id, about, text, choices }: MachineQuestion): VirtualMachineQuestionInfo {
  return data('VirtualMachineQuestionInfo', {
    id,
    text,
    choice: data('ChoiceOption', {
      valueIsReadonly: true,
      choiceInfo: choices.map((choice) => data('ElementDescription', choice)),
      defaultIndex: 0,
    }),
    message: [data('VirtualMachineMessage', { id: about, text })],
  });
}

export function noSuchQuestion(id: string): VimFault {
  return fault('InvalidArgument', { invalidProperty: 'questionId' }, `The machine asks no question ${id}.`);
}
