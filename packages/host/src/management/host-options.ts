import { data, type OptionDefinition } from '@hypostyle/vim';

export const welcomeMessageKey = 'Annotations.WelcomeMessage';

/** Advanced options of a host: those that something here goes by. */
export const hostOptions: readonly OptionDefinition[] = [
  {
    key: welcomeMessageKey,
    label: 'Message that clients show to everybody who signs in',
    type: data('StringOption', { valueIsReadonly: false, defaultValue: '' }),
  },
];
