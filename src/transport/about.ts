/** What a worker says of itself, as it travels: the message About. */
import type { WorkerAbout } from '../discovery/discovery.ts';
import { parseAbout } from '../discovery/metadata.ts';
import { ProtocolError } from '../errors.ts';
import type { About, OutAbout } from '../wire/frame.ts';

export function toAbout(about: WorkerAbout): OutAbout {
  const { host, pid, version, tags = [], beat, extra = {}, secure, channel } = about;
  return {
    host,
    pid,
    version,
    tags: [...tags],
    concurrency: channel?.concurrency,
    beat,
    extra: Object.entries(extra).map(([key, value]) => ({ key, value })),
    secure,
  };
}

/** @throws ProtocolError when a worker says what it may not */
export function fromAbout(message: About): WorkerAbout {
  const { host, pid, version, tags, concurrency, beat, extra, secure } = message;
  try {
    return parseAbout({
      host: host || undefined,
      pid: pid || undefined,
      version: version || undefined,
      tags,
      beat: beat || undefined,
      extra: Object.fromEntries(extra.map(({ key, value }) => [key, value])),
      secure,
      channel: { concurrency: concurrency || undefined },
    });
  } catch (cause) {
    throw new ProtocolError(`what the worker says of itself: ${(cause as Error).message}`, {
      cause,
    });
  }
}
