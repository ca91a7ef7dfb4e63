import { expect, it } from 'vitest';
import { RateMeter } from './rate';

it('says nothing before there is enough to tell', () => {
  const meter = new RateMeter();
  expect(meter.rate()).toBe(0);
  meter.sample(0, 0);
  meter.sample(100, 5000);
  expect(meter.rate()).toBe(0);
});

it('measures the last seconds only', () => {
  const meter = new RateMeter();
  for (let second = 0; second <= 20; second++)
    meter.sample(second * 1000, second <= 10 ? second * 100 : 1000 + (second - 10) * 7);
  expect(meter.rate()).toBe(7);
});
