/** What is left to do when this process ends. One listener does it all: Node warns of more than ten. */
const duties = new Set<() => void>();

const doAll = () => {
  for (const duty of [...duties]) duty();
};

/** @returns what takes the duty back */
export function atExit(duty: () => void): () => void {
  if (duties.size === 0) process.once('exit', doAll);
  duties.add(duty);
  return () => {
    if (duties.delete(duty) && duties.size === 0) process.removeListener('exit', doAll);
  };
}
