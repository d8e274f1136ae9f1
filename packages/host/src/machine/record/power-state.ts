export type PowerState = 'poweredOff' | 'poweredOn' | 'suspended';
