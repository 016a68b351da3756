//! The one interface to a database. Synchronous: called from workers, the
//! offline writer and the claims thread, never from a reactor.

use std::time::Duration;

use super::{
    Claim, ClaimOutcome, Credentials, Group, GroupId, HeldClaim, ImportRow, Limits, OfflineKey,
    OfflineOp, OfflinePage, OfflineSize, Pushed, ServerRow, TokenHash, User, UserId,
};

/// Why a call to a [`Store`] did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, timed out, or is locked for too long.
    /// Nothing is known to have happened; the caller may try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The user's or group's name exists already.
    #[error("the name is taken")]
    NameTaken,
    /// No user has this number.
    #[error("no such user")]
    NoSuchUser,
    /// No group has this number.
    #[error("no such group")]
    NoSuchGroup,
    /// The two are friends already.
    #[error("already friends")]
    AlreadyFriends,
    /// The two are not friends.
    #[error("not friends")]
    NotFriends,
    /// The user is in the group already.
    #[error("already a member")]
    AlreadyMember,
    /// The user is not in the group.
    #[error("not a member")]
    NotMember,
    /// The user has as many friends as one may have.
    #[error("too many friends")]
    TooManyFriends,
    /// The other one has as many friends as one may have.
    #[error("the friend has too many friends")]
    FriendHasTooMany,
    /// The user is in as many groups as one may be in.
    #[error("too many groups")]
    TooManyGroups,
    /// The group has as many members as one may have.
    #[error("the group is full")]
    GroupFull,
    /// The database answered something that should not be: a defect or a
    /// schema that someone changed by hand.
    #[error("the database refused: {0}")]
    Internal(String),
    /// Only at opening: the database cannot be used as configured (a bad URL,
    /// access denied, a schema of a newer program). Trying again does not
    /// help; the text says what to do.
    #[error("{0}")]
    Misconfigured(String),
    /// Only at opening: another process holds the database file. The text
    /// says what to do.
    #[error("{0}")]
    InUse(String),
}

/// Short for the result of every store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A database behind the chat service.
///
/// Every method but [`Store::refresh_tokens`] and
/// [`Store::drop_offline_older_than`] is one transaction: it happened
/// whole or not at all. Every method may return [`StoreError::Unavailable`] or
/// [`StoreError::Internal`]; others are named where they can occur. After
/// `Unavailable` a change may still have been made (the answer was lost):
/// claims, tokens and missed messages can simply be asked for again, the rest
/// tells by its "already" and "not" errors.
///
/// Where [`Limits`] are given, they hold whatever is asked at the same time.
///
/// Lengths and spellings are the caller's to check; a text longer than its
/// column is refused as `Internal`, never cut.
pub trait Store: Send + Sync {
    // ---- accounts ----

    /// Adds a user and returns the new number. Errors: `NameTaken`.
    fn create_user(&self, name: &str, password_hash: &str) -> Result<UserId>;
    /// What a login by number is checked against; `None`: no such user.
    fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>>;
    /// What a login by name is checked against; `None`: no such user.
    fn credentials_by_name(&self, name: &str) -> Result<Option<Credentials>>;
    /// What others may know of a user; `None`: no such user.
    fn user(&self, id: UserId) -> Result<Option<User>>;

    // ---- claims: who is online where ----

    /// Takes the user's login for `claim` and sets the user online, if nobody
    /// holds it, or if exactly `replacing` holds it. One conditional UPDATE;
    /// when it changes no row the row is read back and compared, since the
    /// answer to an earlier attempt may have been lost.
    /// Errors: `NoSuchUser`.
    fn take_claim(
        &self,
        user: UserId,
        claim: &Claim,
        replacing: Option<&Claim>,
    ) -> Result<ClaimOutcome>;
    /// Lets go of the user's login and sets the user offline, if exactly this
    /// claim holds it (all three parts compared). Whether it did.
    fn release_claim(&self, user: UserId, claim: &Claim) -> Result<bool>;
    /// Every claim that stands for this server and epoch, ordered by user.
    fn claims_of(&self, server: &str, epoch: i64) -> Result<Vec<HeldClaim>>;

    // ---- servers: who lives ----

    /// Enters this server with a fresh epoch (beat 0) and frees every claim
    /// that its id left behind, of whatever epoch. Returns how many.
    fn start_server(&self, id: &str, epoch: i64) -> Result<u64>;
    /// Raises the server's beat by one where id and epoch match. `false`: this
    /// life has been declared dead.
    fn beat(&self, id: &str, epoch: i64) -> Result<bool>;
    /// Every server's row, ordered by id.
    fn servers(&self) -> Result<Vec<ServerRow>>;
    /// Declares a server dead: where id, epoch and beat are still as seen,
    /// raises its epoch by one and frees its claims (of whatever epoch), in
    /// one transaction. Returns how many claims it freed; `None`: the row has
    /// changed. The row stays.
    fn declare_dead(&self, seen: &ServerRow) -> Result<Option<u64>>;
    /// Takes a dead server's row out where id, epoch and beat are still as
    /// seen and no claim of whatever epoch names the id. Whether it did; asked
    /// again after a lost answer it says `false`.
    fn forget_server(&self, seen: &ServerRow) -> Result<bool>;
    /// Takes this server's row out where id and epoch match and frees its
    /// claims. Returns how many. Where they do not match (declared dead, or
    /// started anew meanwhile) only this epoch's claims are freed.
    fn stop_server(&self, id: &str, epoch: i64) -> Result<u64>;

    // ---- login tokens ----

    /// The user's name, if this token is this user's and has not expired.
    fn token_user(&self, user: UserId, token: &TokenHash) -> Result<Option<String>>;
    /// Makes `new` valid for [`TOKEN_LIFETIME`] from now. With `presented` (a
    /// login by that token) that one stays valid too, its life beginning anew.
    /// The user's newest three others stay as they are, older ones go. May be
    /// repeated with the same `new`.
    /// Errors: `NoSuchUser`.
    ///
    /// [`TOKEN_LIFETIME`]: super::TOKEN_LIFETIME
    fn add_token(&self, user: UserId, new: &TokenHash, presented: Option<&TokenHash>)
    -> Result<()>;
    /// Deletes the user's tokens that were made before this one; made, not
    /// used, so that a late repeat never ends a newer login's. Nothing if this
    /// one is not there.
    fn drop_older_tokens(&self, user: UserId, token: &TokenHash) -> Result<()>;
    /// Deletes this token of the user's and all made before it: a log-out.
    /// Nothing if this one is not there.
    fn drop_tokens_until(&self, user: UserId, token: &TokenHash) -> Result<()>;
    /// The tokens of all users claimed by this server and epoch live for
    /// [`TOKEN_LIFETIME`] from now: being online is use. Tokens that have
    /// expired stay so, and are deleted, whosever they are, up to 10,000. Not
    /// one transaction but many small ones, so that no login waits; what an
    /// error leaves undone the next call does. Each of the tokens is a row to
    /// write: to be called now and then, not with every beat.
    ///
    /// [`TOKEN_LIFETIME`]: super::TOKEN_LIFETIME
    fn refresh_tokens(&self, server: &str, epoch: i64) -> Result<()>;

    // ---- friends ----

    /// Makes the two friends, on both sides, and returns the friend. The two
    /// differ: the caller sees to that (`Internal` otherwise). A friendship
    /// found with one side only is made whole.
    /// Errors: `NoSuchUser` (the friend), `AlreadyFriends`, `TooManyFriends`,
    /// `FriendHasTooMany`.
    fn add_friend(&self, user: UserId, friend: UserId, limits: &Limits) -> Result<User>;
    /// Ends the friendship on both sides. Errors: `NoSuchUser`, `NotFriends`.
    fn remove_friend(&self, user: UserId, friend: UserId) -> Result<()>;
    /// The user's friends, ordered by id.
    fn friends(&self, user: UserId) -> Result<Vec<User>>;

    // ---- groups ----

    /// Makes a group with `creator` in it. Errors: `NameTaken`, `NoSuchUser`,
    /// `TooManyGroups`.
    fn create_group(
        &self,
        creator: UserId,
        name: &str,
        description: &str,
        limits: &Limits,
    ) -> Result<GroupId>;
    /// Adds a normal member and returns the group as it then is.
    /// Errors: `NoSuchGroup`, `NoSuchUser`, `AlreadyMember`, `GroupFull`,
    /// `TooManyGroups`.
    fn join_group(&self, group: GroupId, user: UserId, limits: &Limits) -> Result<Group>;
    /// The creator dissolves the group, a normal member leaves it. Whether it
    /// was dissolved. Errors: `NoSuchGroup`, `NotMember`.
    fn leave_group(&self, group: GroupId, user: UserId) -> Result<bool>;
    /// The user's groups with all their members, both ordered by id.
    fn groups_of(&self, user: UserId) -> Result<Vec<Group>>;
    /// The numbers of a group's members, ordered; `None`: no such group.
    fn group_members(&self, group: GroupId) -> Result<Option<Vec<UserId>>>;

    // ---- missed messages ----

    /// How many threads do well to call [`Store::apply_offline`] beside each
    /// other, 1 or more.
    fn offline_writers(&self) -> usize;
    /// Applies the operations in order, all in one transaction. Deadlocks and
    /// lock time-outs are tried again inside. Any number and size is allowed;
    /// statements are kept within the database's packet limit. One row that
    /// the database refuses (`Internal`) refuses the whole call.
    fn apply_offline(&self, ops: &[OfflineOp]) -> Result<()>;
    /// The recipient's oldest messages that are not in `pushed`, lowest row
    /// first: at most `max_rows`, and no more than fit in `max_bytes` of text,
    /// but always the first one. What is in `pushed` is passed over: it counts
    /// neither as a row nor as bytes, and the page goes on behind it.
    fn offline_page(
        &self,
        user: UserId,
        pushed: &Pushed,
        max_rows: usize,
        max_bytes: usize,
    ) -> Result<OfflinePage>;
    /// How many messages wait for this user and how large their texts are
    /// together, counted no further than some way beyond `most`: that far where
    /// either is reached. Where `most` is any number of bytes those may be left
    /// uncounted.
    fn offline_size(&self, user: UserId, most: OfflineSize) -> Result<OfflineSize>;
    /// Which of these messages wait, in their order.
    fn are_offline(&self, messages: &[OfflineKey]) -> Result<Vec<bool>>;
    /// Deletes messages that were stored longer ago than this by the
    /// database's clock, oldest first, up to 10,000; how many. Not one
    /// transaction but small ones, so that no writer waits.
    fn drop_offline_older_than(&self, age: Duration) -> Result<u64>;
    /// The users claimed by this server and epoch for whom messages wait,
    /// ordered by id.
    fn users_with_offline(&self, server: &str, epoch: i64) -> Result<Vec<UserId>>;

    // ---- import from another program's database ----

    /// The numbers and names of so many users, by number, from behind `after`.
    fn user_names(&self, after: u32, most: u32) -> Result<Vec<(UserId, String)>>;
    /// The same of groups.
    fn group_names(&self, after: u32, most: u32) -> Result<Vec<(GroupId, String)>>;
    /// Writes rows with the numbers that they have; new users and groups get
    /// higher ones from then on. A friendship, member or message that is there
    /// stands as it is. That users and groups which others name are there is
    /// the caller's to see to; limits do not hold here.
    /// Errors: `NameTaken` (the name or the number of a user or group).
    fn import(&self, rows: &[ImportRow]) -> Result<()>;
}
