//! One parameter: its Hugging Face name and shape, and its tensor.

use burn::tensor::{Device, Gradients, Tensor, TensorData};

/// A parameter's tensor: 1-D as it is, more dimensions as `[first, product of the rest]`.
#[derive(Debug, Clone)]
pub enum ParamTensor {
    /// Biases and norm weights.
    Vector(Tensor<1>),
    /// Everything else; a Conv3d patch embedding is the matrix it acts as.
    Matrix(Tensor<2>),
}

impl ParamTensor {
    /// Puts values of a Hugging Face `shape` on a device.
    ///
    /// # Panics
    /// When `values` has not as many elements as `shape` says.
    pub fn new(values: Vec<f32>, shape: &[usize], device: &Device) -> Self {
        let rows = shape.first().copied().unwrap_or(1);
        let data = |shape: Vec<usize>| TensorData::new(values, shape);
        match shape.len() {
            0 | 1 => Self::Vector(Tensor::from_data(data(vec![rows]), device)),
            _ => {
                let columns = shape[1..].iter().product();
                Self::Matrix(Tensor::from_data(data(vec![rows, columns]), device))
            }
        }
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        match self {
            Self::Vector(t) => t.dims()[0],
            Self::Matrix(t) => t.dims().iter().product(),
        }
    }

    /// The elements, row-major.
    pub fn into_vec(self) -> Vec<f32> {
        let data = match self {
            Self::Vector(t) => t.into_data(),
            Self::Matrix(t) => t.into_data(),
        };
        data.try_into_vec().expect("parameters are f32")
    }

    /// The elements as one row, row-major; no copy.
    pub fn into_flat(self) -> Tensor<1> {
        let len = self.numel();
        match self {
            Self::Vector(t) => t,
            Self::Matrix(t) => t.reshape([len]),
        }
    }

    /// Element-wise sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Vector(a), Self::Vector(b)) => Self::Vector(a + b),
            (Self::Matrix(a), Self::Matrix(b)) => Self::Matrix(a + b),
            (a, _) => unreachable!("a gradient has its parameter's shape, found {a:?}"),
        }
    }

    fn inner(self) -> Self {
        match self {
            Self::Vector(t) => Self::Vector(t.inner()),
            Self::Matrix(t) => Self::Matrix(t.inner()),
        }
    }

    fn leaf(self) -> Self {
        match self {
            Self::Vector(t) => Self::Vector(t.autodiff().require_grad()),
            Self::Matrix(t) => Self::Matrix(t.autodiff().require_grad()),
        }
    }
}

/// One parameter of a model or of its adapters.
#[derive(Debug, Clone)]
pub struct Param {
    name: String,
    shape: Vec<usize>,
    tensor: ParamTensor,
    trainable: bool,
    used: bool,
}

impl Param {
    /// A trainable parameter of Hugging Face `name` and `shape`.
    ///
    /// # Panics
    /// When `values` has not as many elements as `shape` says.
    pub fn new(name: String, shape: Vec<usize>, values: Vec<f32>, device: &Device) -> Self {
        let tensor = ParamTensor::new(values, &shape, device).leaf();
        Self {
            name,
            shape,
            tensor,
            trainable: true,
            used: true,
        }
    }

    /// The same, which the model does not compute with where `used` is false: it is kept for the file, and never trained.
    #[must_use]
    pub fn with_use(mut self, used: bool) -> Self {
        self.used = used;
        self.set_trainable(self.trainable);
        self
    }

    /// Whether the model computes with it.
    pub fn used(&self) -> bool {
        self.used
    }

    /// Its name; see [`hub_name`](crate::hub_name).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same values under another name. Shares memory with the parameter.
    pub fn renamed(&self, name: String) -> Self {
        Self {
            name,
            ..self.clone()
        }
    }

    /// The shape `save_pretrained` writes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a backward pass computes its gradient.
    pub fn trainable(&self) -> bool {
        self.trainable
    }

    /// Includes the parameter in the autodiff graph of coming forward passes, or leaves it out. What the model does not
    /// compute with stays out.
    pub fn set_trainable(&mut self, trainable: bool) {
        let trainable = trainable && self.used;
        if trainable != self.trainable {
            let inner = self.value();
            self.tensor = if trainable { inner.leaf() } else { inner };
            self.trainable = trainable;
        }
    }

    /// The tensor outside autodiff. Shares memory with the parameter.
    pub fn value(&self) -> ParamTensor {
        self.tensor.clone().inner()
    }

    /// The elements, row-major; a copy.
    pub fn to_vec(&self) -> Vec<f32> {
        self.value().into_vec()
    }

    /// Replaces the elements, row-major. Gradients computed before refer to the old tensor and
    /// are no longer found by [`Param::take_grad`].
    ///
    /// # Panics
    /// When `values` has not as many elements as the parameter.
    pub fn set(&mut self, values: Vec<f32>) {
        assert_eq!(
            values.len(),
            self.numel(),
            "{}: wrong number of values",
            self.name
        );
        let device = self.device();
        let tensor = ParamTensor::new(values, &self.shape, &device);
        self.tensor = if self.trainable {
            tensor.leaf()
        } else {
            tensor
        };
    }

    /// Changes the elements in place: no copy when nothing else holds the tensor (an autodiff
    /// graph or a snapshot would).
    pub fn update(&mut self, change: impl FnOnce(&mut [f32])) {
        let device = self.device();
        self.replace(|values| {
            let data = values.into_data();
            let mut values = data.try_into_vec::<f32>().expect("parameters are f32");
            change(&mut values);
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), &device)
        });
    }

    /// Puts `change` of the elements, flat and outside autodiff, in their place. `change` owns them
    /// alone, unless something else holds the tensor.
    ///
    /// # Panics
    /// When the number of elements changes.
    pub fn replace(&mut self, change: impl FnOnce(Tensor<1>) -> Tensor<1>) {
        let nothing = ParamTensor::Vector(Tensor::zeros([0], &Device::flex()));
        let old = std::mem::replace(&mut self.tensor, nothing).inner();
        let shape = match &old {
            ParamTensor::Vector(_) => None,
            ParamTensor::Matrix(t) => Some(t.dims()),
        };
        let new = change(old.into_flat());
        let new = match shape {
            None => ParamTensor::Vector(new),
            Some(shape) => ParamTensor::Matrix(new.reshape(shape)),
        };
        assert_eq!(
            new.numel(),
            self.numel(),
            "{}: wrong number of values",
            self.name
        );
        self.tensor = if self.trainable { new.leaf() } else { new };
    }

    /// Removes the parameter's gradient from `gradients`; `None` when it received none.
    pub fn take_grad(&self, gradients: &mut Gradients) -> Option<ParamTensor> {
        match &self.tensor {
            ParamTensor::Vector(t) => t.grad_remove(gradients).map(ParamTensor::Vector),
            ParamTensor::Matrix(t) => t.grad_remove(gradients).map(ParamTensor::Matrix),
        }
    }

    fn device(&self) -> Device {
        match &self.tensor {
            ParamTensor::Vector(t) => t.device().inner(),
            ParamTensor::Matrix(t) => t.device().inner(),
        }
    }

    /// The tensor of a parameter of one dimension, with its autodiff graph or without.
    ///
    /// # Panics
    /// When it is a matrix.
    pub fn vector(&self, track: bool) -> Tensor<1> {
        match &self.tensor {
            ParamTensor::Vector(t) if track => t.clone(),
            ParamTensor::Vector(t) => t.clone().inner(),
            ParamTensor::Matrix(_) => unreachable!("{} is a matrix", self.name),
        }
    }

    /// The tensor of a parameter of two or more dimensions, with its autodiff graph or without.
    ///
    /// # Panics
    /// When it is a vector.
    pub fn matrix(&self, track: bool) -> Tensor<2> {
        match &self.tensor {
            ParamTensor::Matrix(t) if track => t.clone(),
            ParamTensor::Matrix(t) => t.clone().inner(),
            ParamTensor::Vector(_) => unreachable!("{} is a vector", self.name),
        }
    }
}
