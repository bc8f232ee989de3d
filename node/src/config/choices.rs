//! Directives that take one of a few words.

use crate::log_words::LogLevel;

macro_rules! names {
    ($type:ident { $( $variant:ident = $name:literal, )* }) => {
        impl $type {
            /// The words, in the order Redis lists them.
            pub const NAMES: &[&str] = &[$( $name, )*];

            /// Its word in `redis.conf`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )*
                }
            }

            pub(super) fn from_name(name: &str) -> Option<Self> {
                match name {
                    $( $name => Some(Self::$variant), )*
                    _ => None,
                }
            }
        }
    };
}

macro_rules! choice {
    (
        $(#[$doc:meta])*
        $type:ident {
            $( $(#[$variant_doc:meta])* $variant:ident = $name:literal, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $type {
            $( $(#[$variant_doc])* $variant, )*
        }

        names! { $type { $( $variant = $name, )* } }
    };
}

choice! {
    /// `appendfsync`: when the append-only file is forced to disk.
    AppendFsync {
        /// Once a second.
        Everysec = "everysec",
        /// After every turn that wrote.
        Always = "always",
        /// When the system likes.
        No = "no",
    }
}

choice! {
    /// `maxmemory-policy`: what is evicted when memory is full.
    MaxmemoryPolicy {
        /// The least recently used key that expires.
        VolatileLru = "volatile-lru",
        /// The least often used key that expires.
        VolatileLfu = "volatile-lfu",
        /// Any key that expires.
        VolatileRandom = "volatile-random",
        /// The key that expires first.
        VolatileTtl = "volatile-ttl",
        /// The least recently used key.
        AllkeysLru = "allkeys-lru",
        /// The least often used key.
        AllkeysLfu = "allkeys-lfu",
        /// Any key.
        AllkeysRandom = "allkeys-random",
        /// Nothing: writes fail.
        Noeviction = "noeviction",
    }
}

choice! {
    /// `enable-debug-command`: who may use what is meant for tests.
    ProtectedAction {
        /// Nobody.
        No = "no",
        /// Every client.
        Yes = "yes",
        /// Clients of the same host.
        Local = "local",
    }
}

names! {
    LogLevel {
        Debug = "debug",
        Verbose = "verbose",
        Notice = "notice",
        Warning = "warning",
    }
}

choice! {
    /// `cluster-preferred-endpoint-type`: what clients are told of where a node is.
    EndpointType {
        /// Its address.
        Ip = "ip",
        /// Its host name.
        Hostname = "hostname",
        /// Nothing: they keep the one they came by.
        UnknownEndpoint = "unknown-endpoint",
    }
}
