// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import "math"

// manyDraws is the number of draws from which the normal distribution is a good approximation, and the exact sum is slow.
const manyDraws = 1e9

// binomialBelow is the probability of at most k successes in n draws with probability p each; k and n are whole numbers, and p is between 0
// and 1. It is exact except for rounding, also in the far tail.
func binomialBelow(k, n, p float64) float64 {
	switch {
	case k < 0:
		return 0
	case k >= n:
		return 1
	case n > manyDraws:
		return math.Erfc((n*p-k-0.5)/math.Sqrt(2*n*p*(1-p))) / 2
	case k >= n*p: // The rest is the smaller part, whose terms fall from its beginning on.
		return 1 - binomialBelow(n-k-1, n, 1-p)
	}
	lgamma := func(x float64) float64 {
		v, _ := math.Lgamma(x + 1)
		return v
	}
	term := math.Exp(lgamma(n) - lgamma(k) - lgamma(n-k) + k*math.Log(p) + (n-k)*math.Log1p(-p))
	sum := 0.0
	for i := k; i >= 0 && term > sum*1e-17; i-- {
		sum += term
		term *= i / (n - i + 1) * (1 - p) / p
	}
	return min(sum, 1)
}
