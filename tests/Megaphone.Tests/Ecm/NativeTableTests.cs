using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using Megaphone.Ecm;
using Xunit;

namespace Megaphone.Tests.Ecm;

public sealed unsafe class NativeTableTests : IDisposable
{
    private readonly NativeTable<Twelve> _table = new();

    private static readonly Gen<(bool Adds, ulong Number)> Steps =
        Gen.Choose(0, 99).SelectMany(_ => Gen.Choose(0, 40), (dice, number) => (dice < 60, (ulong)number << (number % 5 * 12)));

    public void Dispose() => _table.Dispose();

    [Fact]
    public void It_behaves_like_a_dictionary() => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(500),
        Prop.ForAll(Arb.From(Steps.ArrayOf()), steps =>
        {
            using NativeTable<Twelve> table = new();
            Dictionary<ulong, int> model = [];
            int value = 0;
            foreach ((bool adds, ulong number) in steps)
            {
                uint hash = NativeTable<Twelve>.HashOf(number);
                if (!adds)
                {
                    table.Remove(number, hash);
                    model.Remove(number);
                }
                else if (!model.ContainsKey(number))
                {
                    Twelve* added = table.Add(number, hash);
                    Assert.Equal(default, *added);
                    added->Last = model[number] = ++value;
                }

                AssertHolds(model, table);
            }
        }));

    [Fact]
    public void Very_many_take_32_bytes_each_and_give_them_back()
    {
        const int many = 300_000;
        Dictionary<ulong, int> model = [];
        Random random = new(1);
        while (model.Count < many) model.TryAdd((ulong)random.NextInt64(), model.Count);
        foreach ((ulong number, int value) in model)
        {
            _table.Add(number, NativeTable<Twelve>.HashOf(number))->Last = value;
            if (_table.Count > 1000) Assert.InRange(_table.Bytes / _table.Count, 20, 32);
        }

        AssertHolds(model, _table);
        foreach (ulong number in model.Keys.Skip(1000)) _table.Remove(number, NativeTable<Twelve>.HashOf(number));
        AssertHolds(model.Take(1000).ToDictionary(), _table);
        Assert.InRange(_table.Bytes, 0, 1000 * 20 * 4);
    }

    [Fact]
    public void What_is_in_it_is_found_by_going_through_its_places()
    {
        for (ulong number = 0; number < 100; number++) _table.Add(number, NativeTable<Twelve>.HashOf(number))->Last = (int)number;
        List<int> found = [];
        for (int index = 0; index < _table.Size; index++)
        {
            Twelve* there = _table.At(index, out ulong number);
            if (there == null) continue;
            Assert.Equal(number, (ulong)there->Last);
            found.Add(there->Last);
        }

        Assert.Equal(Enumerable.Range(0, 100), found.Order());
    }

    private static void AssertHolds(Dictionary<ulong, int> expected, NativeTable<Twelve> table)
    {
        Assert.Equal(expected.Count, table.Count);
        foreach ((ulong number, int value) in expected)
        {
            Twelve* found = table.Find(number, NativeTable<Twelve>.HashOf(number));
            Assert.True(found != null);
            Assert.Equal(value, found->Last);
        }

        const ulong other = 1UL << 63 | 7;
        Assert.True(table.Find(other, NativeTable<Twelve>.HashOf(other)) == null);
    }

    [StructLayout(LayoutKind.Sequential)]
    private record struct Twelve
    {
        public int First;
        public int Second;
        public int Last;
    }
}
