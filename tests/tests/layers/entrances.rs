//! What every layer says of its arguments before it computes anything.

use super::zoo::{CHANNELS, layer, variants};
use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Int, Tensor};
use seqzoo::{Mixer, MixerState, SequenceMixer};
use seqzoo_tests::{Inputs, autodiff, plain, said};

fn layers(device: &Device) -> impl Iterator<Item = (String, Mixer)> {
    let device = device.clone();
    variants().into_iter().map(move |(name, config)| (name, layer(&config, &device)))
}

fn input(shape: [usize; 3], device: &Device) -> Tensor<3> {
    Inputs::new(3, device).uniform(shape)
}

fn no_resets(shape: [usize; 2], device: &Device) -> Tensor<2, Bool> {
    Tensor::full(shape, false, device)
}

#[test]
fn an_empty_batch_has_an_empty_output_and_an_empty_state() {
    let device = plain();
    for (name, layer) in layers(&device) {
        let tokens = || input([0, 4, CHANNELS], &device);
        let resets = || no_resets([0, 4], &device);
        for (resets, state) in [
            (None, None),
            (Some(resets()), None),
            (None, Some(layer.init_state(0, &device))),
            (Some(resets()), Some(layer.init_state(0, &device))),
        ] {
            let (output, state) = layer.forward_packed(tokens(), resets, state);
            assert_eq!((output.dims(), state.batch()), ([0, 4, CHANNELS], 0), "{name}");
            let (output, state) = layer.step(tokens().narrow(1, 0, 1).squeeze_dim(1), state);
            assert_eq!((output.dims(), state.batch()), ([0, CHANNELS], 0), "{name}");
            assert!(state.misfit(&layer.init_state(1, &device)).is_none(), "{name}");
        }
        let (_, state) = layer.forward(input([2, 3, CHANNELS], &device), None);
        let none = state.select(Tensor::<1, Int>::from_ints([0; 0], &device));
        assert_eq!(layer.forward(tokens(), Some(none)).1.batch(), 0, "{name}");
    }
}

#[test]
fn an_empty_batch_has_gradients_of_zero() {
    struct Zero<'a>(&'a burn::tensor::Gradients);
    impl ModuleVisitor for Zero<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let gradient = parameter.val().grad(self.0).expect("every parameter has a gradient");
            assert_eq!(gradient.abs().max().into_scalar::<f64>(), 0.0);
        }
    }
    let device = autodiff();
    for (_, layer) in layers(&device) {
        let tokens = input([0, 4, CHANNELS], &device).require_grad();
        let (output, _) = layer.forward(tokens.clone(), None);
        let gradients = output.square().sum().backward();
        burn::module::Module::visit(&layer, &mut Zero(&gradients));
        assert_eq!(tokens.grad(&gradients).unwrap().dims(), [0, 4, CHANNELS]);
    }
}

#[test]
fn every_layer_refuses_the_same_arguments_in_the_same_words() {
    let device = plain();
    for (name, layer) in layers(&device) {
        let two = || input([2, 4, CHANNELS], &device);
        let (_, state) = layer.forward(two(), None);
        let refuses = |case: Box<dyn FnOnce() + '_>, sentence: &str| {
            let said = said(case);
            assert!(said.contains(sentence), "{name}: {said}");
        };
        let forward = |shape| {
            let (layer, device) = (&layer, &device);
            Box::new(move || drop(layer.forward(input(shape, device), None))) as Box<dyn FnOnce() + '_>
        };
        refuses(forward([1, 0, CHANNELS]), "The argument `input` has no elements on its time axis");
        refuses(forward([0, 0, CHANNELS]), "The argument `input` has no elements on its time axis");
        for channels in [0, 1, CHANNELS + 1] {
            for batch in [0, 2] {
                let sentence =
                    format!("The argument `input` has the shape [{batch}, 4, {channels}], but [B, T, D]");
                refuses(forward([batch, 4, channels]), &sentence);
            }
        }
        for shape in [[2, 3], [1, 4], [4, 2], [2, 0]] {
            let case = || drop(layer.forward_packed(two(), Some(no_resets(shape, &device)), None));
            refuses(Box::new(case), "The argument `resets` has the shape");
        }
        let other = "The argument `state` is of 2 sequences in `";
        for batch in [0, 1, 3] {
            let tokens = || input([batch, 4, CHANNELS], &device);
            refuses(Box::new(|| drop(layer.forward(tokens(), Some(state.clone())))), other);
            let fresh = layer.init_state(2, &device);
            refuses(Box::new(|| drop(layer.forward(tokens(), Some(fresh)))), other);
            let token = tokens().narrow(1, 0, 1).squeeze_dim::<2>(1);
            refuses(Box::new(|| drop(layer.step(token, state.clone()))), other);
        }
    }
}

#[test]
fn an_empty_state_of_another_layer_is_refused_too() {
    let device = plain();
    let all: Vec<_> = layers(&device).collect();
    let find = |wanted: &str| &all.iter().find(|(name, _)| name == wanted).unwrap().1;
    let state = find("delta net").init_state(0, &device);
    let said = said(|| drop(find("retention").forward(input([0, 4, CHANNELS], &device), Some(state))));
    assert!(
        said.contains("The argument `state` is one of `delta_net`, but one of `multi_scale_retention`"),
        "{said}"
    );
}
