//! Makes one type of all families: [`Fault`](super::Fault), with [`Kind`](super::Kind) for their names.

/// One line for each family: the module, and the type in it that implements [`Family`](super::Family).
macro_rules! registry {
    ($($module:ident::$Name:ident,)*) => {
        /// One fault, with its parameters.
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Fault {
            $(#[doc = concat!("See [`", stringify!($module), "`].")] $Name($module::$Name),)*
        }

        /// The families of faults.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind {
            $(#[doc = concat!("See [`", stringify!($module), "`].")] $Name,)*
        }

        /// A fault that was injected and not healed yet.
        pub(crate) enum Held {
            $($Name($module::$Name, <$module::$Name as Family>::Held),)*
        }

        $(impl From<$module::$Name> for Fault {
            fn from(fault: $module::$Name) -> Fault {
                Fault::$Name(fault)
            }
        })*

        impl Kind {
            /// Every family.
            pub const ALL: &'static [Kind] = &[$(Kind::$Name),*];

            /// The name used on the command line, in histories and in results.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Kind::$Name => <$module::$Name as Family>::NAME,)* }
            }

            /// One line for a person.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Kind::$Name => <$module::$Name as Family>::ABOUT,)* }
            }

            /// What it is done to.
            #[must_use]
            pub fn sort(self) -> Sort {
                match self { $(Kind::$Name => <$module::$Name as Family>::SORT,)* }
            }

            /// Whether no other fault may overlap it.
            #[must_use]
            pub fn is_alone(self) -> bool {
                match self { $(Kind::$Name => <$module::$Name as Family>::ALONE,)* }
            }

            /// Whether `all` does not mean it.
            #[must_use]
            pub fn is_by_name_only(self) -> bool {
                match self { $(Kind::$Name => <$module::$Name as Family>::BY_NAME_ONLY,)* }
            }

            /// How it may be drawn.
            #[must_use]
            pub fn recipes(self) -> &'static [Recipe] {
                match self { $(Kind::$Name => <$module::$Name as Family>::RECIPES,)* }
            }

            /// Whether it can be injected on this machine.
            #[must_use]
            pub fn usable(self) -> Usability {
                match self { $(Kind::$Name => <$module::$Name as Family>::usable(),)* }
            }
        }

        impl Fault {
            /// The family.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Fault::$Name(_) => Kind::$Name,)* }
            }

            /// Whom it hits.
            #[must_use]
            pub fn victims(&self) -> Option<&crate::schedule::Victims> {
                match self { $(Fault::$Name(fault) => fault.victims(),)* }
            }

            /// Whom it hits, to be changed.
            pub fn victims_mut(&mut self) -> Option<&mut crate::schedule::Victims> {
                match self { $(Fault::$Name(fault) => fault.victims_mut(),)* }
            }

            /// The links it hits by name, to be changed.
            pub fn links_mut(&mut self) -> Option<&mut Vec<crate::schedule::LinkId>> {
                match self { $(Fault::$Name(fault) => fault.links_mut(),)* }
            }

            /// Whether a cluster of `nodes` has those it is to hit.
            ///
            /// # Errors
            /// A sentence that says why not.
            pub fn check(&self, nodes: u64) -> Result<(), String> {
                match self { $(Fault::$Name(fault) => fault.check(nodes),)* }
            }

            /// What the cluster needs in order that it can be injected.
            ///
            /// # Errors
            /// When that cannot be had.
            pub fn prepare(&self, options: &mut crate::cluster::ClusterOptions) -> anyhow::Result<()> {
                match self { $(Fault::$Name(fault) => fault.prepare(options),)* }
            }

            /// The links to hit, when these servers are the victims.
            #[must_use]
            pub fn links(
                &self,
                victims: &[crate::schedule::NodeId],
                nodes: u64,
            ) -> Vec<crate::schedule::LinkId> {
                match self { $(Fault::$Name(fault) => fault.links(victims, nodes),)* }
            }

            /// In words, given the victims in words.
            #[must_use]
            pub fn words(&self, whom: &str) -> String {
                match self { $(Fault::$Name(fault) => fault.words(whom),)* }
            }

            /// Whether anything came of it.
            #[must_use]
            pub fn had_effect(&self, effect: &Effect, traffic: &crate::link::Traffic) -> bool {
                match self { $(Fault::$Name(fault) => fault.had_effect(effect, traffic),)* }
            }

            pub(crate) async fn inject(
                &self,
                scene: &Scene<'_>,
                on: &Targets,
                effect: &mut Effect,
            ) -> anyhow::Result<Held> {
                Ok(match self {
                    $(Fault::$Name(fault) => {
                        Held::$Name(fault.clone(), fault.inject(scene, on, effect).await?)
                    })*
                })
            }
        }

        impl std::fmt::Display for Fault {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let whom = self.victims().map_or(String::new(), crate::schedule::Victims::words);
                f.write_str(&self.words(&whom))
            }
        }

        impl Held {
            pub(crate) async fn heal(self, scene: &Scene<'_>, on: &Targets, effect: &mut Effect) {
                match self { $(Held::$Name(fault, held) => fault.heal(held, scene, on, effect).await,)* }
            }
        }
    };
}

pub(super) use registry;
