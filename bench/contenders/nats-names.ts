export const SKEIN = 'skein, NATS';
export const REQUEST = 'request/reply';

export const natsContenders = [SKEIN, REQUEST, 'skein, TCP'] as const;

export type NatsContender = (typeof natsContenders)[number];
