"""ProxConnect++: sign-Swish and the pairs of forward and backward quantizers."""

import math

import pytest
import torch
from heqcodec.quantizers.prox_connect import PAIRS, ProxConnectQuantizer
from heqcodec.quantizers.sign_swish import SIGN_SWISH_ROOT, sign_swish, sign_swish_derivative


@pytest.mark.parametrize("beta", [1.0, 5.0, 40.0])
def test_sign_swish_derivative_is_that_of_autograd(beta):
    x = torch.linspace(-3, 3, 1001, dtype=torch.float64, requires_grad=True)
    sign_swish(x, beta).sum().backward()
    exact = sign_swish_derivative(x.detach(), beta)
    torch.testing.assert_close(x.grad, exact, rtol=1e-9, atol=1e-9)
    assert float(sign_swish_derivative(torch.zeros(()), beta)) == pytest.approx(beta)


def test_sign_swish_overshoots_where_its_derivative_has_its_root():
    root = torch.tensor(SIGN_SWISH_ROOT, dtype=torch.float64)
    assert float(root) == pytest.approx(2.39936, abs=5e-6)
    assert abs(float(sign_swish_derivative(root, 1.0))) < 1e-12
    assert float(sign_swish_derivative(root * 0.999, 1.0)) > 0
    assert float(sign_swish_derivative(root * 1.001, 1.0)) < 0
    assert float(sign_swish(root / 7, 7.0)) == pytest.approx(1.19968, abs=1e-5)
    assert float(sign_swish(-root, 1.0)) == pytest.approx(-1.19968, abs=1e-5)
    extreme = torch.tensor([-1e4, 1e4])
    assert sign_swish(extreme, 100.0).tolist() == [-1, 1]
    assert sign_swish_derivative(extreme, 100.0).abs().max() == 0


@pytest.mark.parametrize("pair", PAIRS)
def test_every_pair_has_its_forward_and_backward_function(pair):
    quantizer = ProxConnectQuantizer(pair, beta=2.0)
    u = torch.tensor([-1.5, -1.1, -0.9, -0.1, 0.0, 0.3, 1.0, 1.3], requires_grad=True)
    w = quantizer(u)
    if pair == "bnn++":
        torch.testing.assert_close(w, sign_swish(u, 2.0))
    else:
        assert w.tolist() == [-1, -1, -1, -1, 1, 1, 1, 1]
    grad = torch.arange(1.0, 9.0)
    (w * grad).sum().backward()
    expected = {
        "binary-connect": torch.ones(8),
        "bnn": (u.detach().abs() <= 1).float(),
        "bnn+": sign_swish_derivative(u.detach(), 2.0).clamp(min=0),
        "bnn++": sign_swish_derivative(u.detach(), 2.0).clamp(min=0),
    }[pair]
    torch.testing.assert_close(u.grad, grad * expected)
    assert quantizer.eval()(u).tolist() == [-1, -1, -1, -1, 1, 1, 1, 1]


@pytest.mark.parametrize("pair", PAIRS[2:])
def test_negative_slopes_pass_when_asked_for(pair):
    u = torch.tensor([2.0, -2.0], requires_grad=True)
    ProxConnectQuantizer(pair, beta=2.0, keep_negative=True)(u).sum().backward()
    assert (u.grad < 0).all()


def test_sharpness_grows_geometrically_and_stops():
    quantizer = ProxConnectQuantizer("bnn++", beta=4, final_beta=64, refreshes=4)
    weight = torch.randn(5)
    for expected in (8, 16, 32, 64, 64, 64):
        quantizer.refresh(weight)
        assert float(quantizer.beta) == pytest.approx(expected, rel=1e-5)
    quantizer.set_beta(3.0)
    assert float(quantizer.beta) == 3
    constant = ProxConnectQuantizer("bnn+")
    constant.refresh(weight)
    assert float(constant.beta) == 5
    with pytest.raises(ValueError, match="must rise"):
        ProxConnectQuantizer("bnn++", beta=10, final_beta=5)
    with pytest.raises(ValueError, match="the pair is one of"):
        ProxConnectQuantizer("bnn+++")


def test_smooth_weights_become_signs_as_the_sharpness_grows():
    torch.manual_seed(0)
    u = torch.randn(1000) + 0.2
    gaps = []
    quantizer = ProxConnectQuantizer("bnn++")
    for beta in (1.0, 10.0, 100.0, 1e4):
        quantizer.set_beta(beta)
        gaps.append(float((quantizer(u) - quantizer.codes(u)).abs().mean()))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-3


@pytest.mark.parametrize("pair", PAIRS)
def test_every_pair_trains_binary_weights(pair):
    torch.manual_seed(1)
    truth = torch.sign(torch.randn(16))
    x = torch.randn(200, 16)
    latent = (0.1 * torch.randn(16)).requires_grad_()
    quantizer = ProxConnectQuantizer(pair, refreshes=20)
    optimizer = torch.optim.SGD([latent], lr=0.01)
    for step in range(300):
        if step % 10 == 0:
            quantizer.refresh(latent.data)
        loss = (x @ (quantizer(latent) - truth)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert math.isclose(float((quantizer.codes(latent) == truth).float().mean()), 1.0)


def test_sharpness_ends_at_100_where_no_other_end_is_given():
    weight = torch.zeros(3)
    for pair, beta, final in (("bnn++", 5.0, 100.0), ("bnn++", 250.0, 250.0), ("bnn+", 7.0, 7.0)):
        quantizer = ProxConnectQuantizer(pair, beta)
        for _ in range(50):
            quantizer.refresh(weight)
        # Half of the refreshes is half of the way in the logarithm.
        assert float(quantizer.beta) == pytest.approx(math.sqrt(beta * final), rel=1e-4)
        for _ in range(60):
            quantizer.refresh(weight)
        assert float(quantizer.beta) == pytest.approx(final, rel=1e-5)
