/** The version of this package, as a worker says it to its callers. A test holds it equal to package.json. */
export const VERSION = '0.1.0';
