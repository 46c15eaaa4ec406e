using Megaphone.Admin;
using Xunit;

namespace Megaphone.Tests.Admin;

/// <summary>Open descriptors are counted right where the kernel does not say how many there are, too.</summary>
public class OpenDescriptorsTests
{
    [Fact]
    public void Those_that_are_opened_are_counted_one_by_one()
    {
        // Other tests open and close some meanwhile.
        const int Many = 5000, Others = 1000;
        List<FileStream> held = [];
        long before = OpenDescriptors.CountOneByOne();
        try
        {
            for (int i = 0; i < Many; i++) held.Add(new FileStream("/dev/null", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 0));
            Assert.InRange(OpenDescriptors.CountOneByOne() - before, Many - Others, Many + Others);
            Assert.InRange(OpenDescriptors.Count() - before, Many - Others, Many + Others);
        }
        finally
        {
            held.ForEach(file => file.Dispose());
        }

        Assert.InRange(OpenDescriptors.CountOneByOne() - before, -Others, Others);
    }
}
