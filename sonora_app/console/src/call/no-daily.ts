// Stands in for @daily-co/daily-js, see build.mjs.

export default {
  createCallObject(): never {
    throw new Error("Daily's media manager is not part of the console.");
  },
};
