//! Mutations of texts: bytes changed, taken out and put in, parts repeated, and parts of other seeds put in.

/// What parsers tend to treat specially.
const WORDS: [&[u8]; 20] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"\xff",
    b"\xc3\xa9",
    b"\x1b[31m",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"null",
    b"-1",
    b"99999999999999999999",
    b"1e400",
    b"\\u0000",
    b";",
    b"..",
];
/// The longest input that is made, in bytes.
const LONGEST: usize = 64 * 1024;

/// Makes inputs from seeds, always the same ones for the same number.
pub(crate) struct Mutator {
    seeds: Vec<Vec<u8>>,
    random: fastrand::Rng,
}

impl Mutator {
    /// `seeds` must not be empty.
    pub(crate) fn new(seeds: Vec<Vec<u8>>, number: u64) -> Self {
        Mutator { seeds, random: fastrand::Rng::with_seed(number) }
    }

    pub(crate) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.seed().to_vec();
        for _ in 0..=self.random.u32(0..4) {
            self.mutate(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn seed(&mut self) -> &[u8] {
        let index = self.random.usize(0..self.seeds.len());
        &self.seeds[index]
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let (from, to) = self.range(input.len());
        match self.random.u32(0..8) {
            0 => input.truncate(from),
            1 => drop(input.drain(from..to)),
            2 => {
                if let Some(byte) = input.get_mut(from) {
                    *byte ^= 1 << self.random.u32(0..8);
                }
            }
            3 => {
                if let Some(byte) = input.get_mut(from) {
                    *byte = self.random.u8(..);
                }
            }
            4 | 5 => {
                let word = WORDS[self.random.usize(0..WORDS.len())];
                input.splice(from..from, word.iter().copied());
            }
            6 => {
                let times = self.random.usize(1..9);
                let part = input[from..to].repeat(times);
                input.splice(from..from, part);
            }
            _ => {
                let other = self.seed().to_vec();
                let (begin, end) = self.range(other.len());
                input.splice(from..to, other[begin..end].iter().copied());
            }
        }
    }

    /// A range within `length`; more often a short one.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let from = self.random.usize(0..=length);
        let longest = if self.random.bool() { 8 } else { length };
        (from, from + self.random.usize(0..=longest.min(length - from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_many_and_the_same_again() {
        let make = || {
            let mut mutator = Mutator::new(vec![b"{\"a\":[1,2]}".to_vec(), Vec::new()], 7);
            (0..200).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        let all = make();
        assert_eq!(all, make());
        assert!(all.iter().collect::<std::collections::BTreeSet<_>>().len() > 100);
    }
}
