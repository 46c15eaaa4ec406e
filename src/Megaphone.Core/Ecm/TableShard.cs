namespace Megaphone.Ecm;

/// <summary>One of the parts of a large table, each with a lock of its own: no step takes longer because the whole is larger.</summary>
internal sealed class TableShard<T>
    where T : unmanaged
{
    private SpinLock _lock = new(enableThreadOwnerTracking: false);

    /// <summary>What is in it, for who holds the lock.</summary>
    public NativeTable<T> Table { get; } = new();

    /// <summary>A place in it, for who holds the lock and goes through it bit by bit.</summary>
    public int Hand { get; set; }

    /// <summary>Makes the shards of a table.</summary>
    public static TableShard<T>[] Make(int count) => [.. Enumerable.Range(0, count).Select(_ => new TableShard<T>())];

    /// <summary>Takes the lock.</summary>
    public void Enter()
    {
        bool locked = false;
        _lock.Enter(ref locked);
    }

    /// <summary>Gives the lock back.</summary>
    public void Exit() => _lock.Exit();
}
