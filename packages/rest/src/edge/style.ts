/** The two spellings of the interface: the old one below `/rest`, the new one below `/api`. */
export type Style = 'rest' | 'api';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
