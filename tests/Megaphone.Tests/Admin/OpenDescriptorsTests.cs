using Megaphone.Admin;
using Xunit;

namespace Megaphone.Tests.Admin;

/// <summary>Open descriptors are counted correctly even if the kernel does not count them.</summary>
public class OpenDescriptorsTests
{
    [Fact]
    public void Opened_descriptors_are_counted()
    {
        // Other tests open and close descriptors meanwhile.
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
