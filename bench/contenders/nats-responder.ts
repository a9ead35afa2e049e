/** The other end of the bare requests: a process of its own. Argument: the server. */
import { connect } from '@nats-io/transport-node';
import { serve } from '../ipc.ts';

serve(async ([servers = '']) => {
  const connection = await connect({ servers });
  connection.subscribe('add', {
    callback: (error, message) => {
      if (error === null) message.respond(message.data);
    },
  });
  await connection.flush();
  return {};
});
